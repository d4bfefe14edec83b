"""The layers of a pair in a terminal: which one moved the function, and what of it the runtime brought in."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.wording_of_sums import REMEDY, caveat


def render_layers(found: dict[str, Any], console: Console) -> None:
    """Print the ranked table, what it means, and what could not be compared."""
    rows = {row["name"]: row for row in found["layers"]}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in ("", "layer", "SQNR dB", "cosine", "own error", "JS removed", "95 %"):
        table.add_column(title, justify="left" if title == "layer" else "right", overflow="fold")
    for place, name in enumerate(found["ranking"], start=1):
        row = rows[name]
        js = (row["restored"] or {}).get("js")
        added = row["added"]
        table.add_row(
            str(place),
            Text(name),
            "same" if row["identical"] else _figure(row["sqnr_db"], ".1f"),
            _figure(row["cosine"], ".4f"),
            "-" if added is None else _figure(added["relative_mse"], ".2g"),
            "-" if js is None else _share(js["removed"], found["divergence"]["js"]["estimate"]),
            "-" if js is None else f"[{_figure(js['ci'][0], '.2g')}, {_figure(js['ci'][1], '.2g')}]",
        )
    for line in _leading(found):
        console.print(line, markup=False, highlight=False)
    console.print(table, highlight=False)
    console.print(
        "SQNR and cosine: each layer's output in the variant against the reference. Own error: relative squared error "
        "of the layer on the variant's own inputs. JS removed: how much of the divergence goes when this layer alone "
        "is computed as in the reference.",
        style="dim",
        highlight=False,
    )
    for note in (*_innocent(found), *_notes(found)):
        console.print(note, markup=False, highlight=False)


def _leading(found: dict[str, Any]) -> list[str]:
    """The divergence as deployed, what of it arises in the runtime, and what is left for the layers below."""
    deployed = found["deployed"]
    sums = deployed["integer_sums"]
    place = "" if found["fidelity"]["variant"]["runtime"] == "torch" else ", on ONNX Runtime"
    kind = f", {sums['kind'] or 'unknown'} 8-bit sums{', simulated' if sums['simulated'] else ''}" if sums else ""
    lines = [
        f"As deployed{place}{kind}: Jensen-Shannon divergence {_estimate(deployed['js'])}, "
        f"flips {deployed['flips']:.2%}, {found['samples']} samples"
    ]
    if not place:
        return lines
    parts, share = deployed["parts"], deployed["runtime_share"]
    told = f"{share:.1%} of it" if share else "none of it"
    added = "; ".join(f"{name} {_estimate(parts[name])}" for name in parts if name != "layers")
    lines.append(f"In the runtime arises {told}: {added}.")
    lines.append(f"In the layers, without either: {_estimate(parts['layers'])}. The table explains this part alone.")
    layers = [layer for layer in (sums or {}).get("layers", ()) if layer["saturated"]]
    if layers:
        verb = "saturate" if sums["kind"] == "saturating" else "would saturate on x86 without VNNI"
        worst = sorted(layers, key=lambda layer: -layer["saturated"])[:3]
        named = ", ".join(f"{100 * layer['saturated']:.2g} % of {layer['name']}" for layer in worst)
        lines.append(f"Pair sums that {verb}: {named}; {REMEDY}.")
    more = caveat(sums)
    return [*lines, *([f"{more[0].upper()}{more[1:]}."] if more else [])]


def _estimate(figure: dict[str, Any]) -> str:
    return f"{figure['estimate']:.3g} [{', '.join(_figure(limit, '.3g') for limit in figure['ci'])}]"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _divided(told: dict[str, Any]) -> str:
    scale, shift = ("{:.3g} to {:.3g}".format(*told[name]) for name in ("scale", "shift"))
    moved = f", shifted by {shift}" if any(told["shift"]) else ""
    return (
        f"{told['channels']} of {told['of']} channels are scaled by {scale}{moved}, which the next layers undo: "
        "divided out, no fault"
    )


def _share(removed: float, before: float) -> str:
    share = f" ({removed / before:.0%})" if before > 0 else ""
    return f"{removed:.2g}{share}"


def _innocent(found: dict[str, Any]) -> list[str]:
    """What to say where no layer is shown to do damage."""
    divergence = found["divergence"]
    if found["culprits"]:
        return []
    if divergence["js"]["estimate"] <= divergence["rounding"]:
        return [
            f"No layer is to blame: the layers diverge by no more than rounding does ({divergence['rounding']:.1g})."
        ]
    return ["No layer's restoring alone removes divergence beyond doubt: the order is that of their own errors."]


def _notes(found: dict[str, Any]) -> list[str]:
    notes = []
    for row in found["layers"]:
        if row["divided_out"]:
            notes.append(f"{row['name']}: {_divided(row['divided_out'])}")
        if row["unclear"]:
            notes.append(
                f"{row['name']}: both it and the layers that read it are off: two faults, or channels scaled between "
                "them that cannot be told from a fault"
            )
        told = row["reason"]
        if told:
            notes.append(f"{row['name']}: {told}")
        if row["restored_reason"] and row["restored_reason"] != told:
            notes.append(f"{row['name']}: cannot be restored: {row['restored_reason']}")
    if found["divergence"]["not_finite"]:
        notes.append(
            f"the variant has no finite logits on {found['divergence']['not_finite']} samples: each counts as log 2"
        )
    if found["only_in_variant"]:
        notes.append(f"only in the variant: {', '.join(found['only_in_variant'])}")
    for side, truth in found["fidelity"].items():
        if truth["flips"]:
            where = "the fully optimised file" if truth["runtime"] == "onnxruntime" else "torch"
            notes.append(f"layer by layer, {truth['flips']:.2%} of the {side}'s predictions differ from {where}")
    return notes
