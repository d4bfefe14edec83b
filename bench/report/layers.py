"""The layers of a pair in a terminal: which one moved the function, and what of it the runtime brought in."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.results import LayerReport
from bench.results.layers import DividedOut, Estimate
from bench.wording_of_sums import REMEDY, caveat


def render_layers(report: LayerReport, console: Console) -> None:
    """Print the ranked table, what it means, and what could not be compared."""
    rows = {row.name: row for row in report.layers}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in ("", "layer", "SQNR dB", "cosine", "own error", "JS removed", "95 %"):
        table.add_column(title, justify="left" if title == "layer" else "right", overflow="fold")
    for rank, name in enumerate(report.ranking, start=1):
        row = rows[name]
        js = None if row.restored is None else row.restored.js
        table.add_row(
            str(rank),
            Text(name),
            "same" if row.identical else _figure(row.sqnr_db, ".1f"),
            _figure(row.cosine, ".4f"),
            "-" if row.added is None else _figure(row.added.relative_mse, ".2g"),
            "-" if js is None else _share(js.removed, report.divergence.js.estimate),
            "-" if js is None else f"[{_figure(js.ci[0], '.2g')}, {_figure(js.ci[1], '.2g')}]",
        )
    for line in _leading(report):
        console.print(line, markup=False, highlight=False)
    console.print(table, highlight=False)
    console.print(
        "SQNR and cosine: each layer's output in the variant against the reference. Own error: relative squared error "
        "of the layer on the variant's own inputs. JS removed: how much of the divergence goes when this layer alone "
        "is computed as in the reference.",
        style="dim",
        highlight=False,
    )
    for note in (*_innocent(report), *_notes(report)):
        console.print(note, markup=False, highlight=False)


def _leading(report: LayerReport) -> list[str]:
    """The divergence as deployed, what of it arises in the runtime, and what is left for the layers below."""
    deployed = report.deployed
    sums = deployed.integer_sums
    runtime = "" if report.fidelity.variant.runtime == "torch" else ", on ONNX Runtime"
    kind = f", {sums.kind or 'unknown'} 8-bit sums{', simulated' if sums.simulated else ''}" if sums else ""
    lines = [
        f"As deployed{runtime}{kind}: Jensen-Shannon divergence {_estimate(deployed.js)}, "
        f"flips {deployed.flips:.2%}, {report.samples} samples"
    ]
    if not runtime:
        return lines
    parts, share = deployed.parts, deployed.runtime_share
    arising = f"{share:.1%} of it" if share else "none of it"
    added = "; ".join(f"{name} {_estimate(parts[name])}" for name in parts if name != "layers")
    lines.append(f"In the runtime arises {arising}: {added}.")
    lines.append(f"In the layers, without either: {_estimate(parts['layers'])}. The table explains this part alone.")
    saturated = [(layer.saturated, layer.name) for layer in (sums.layers if sums else ()) if layer.saturated]
    if sums and saturated:
        verb = "saturate" if sums.kind == "saturating" else "would saturate on x86 without VNNI"
        worst = sorted(saturated, key=lambda layer: -layer[0])[:3]
        named = ", ".join(f"{100 * pairs:.2g} % of {name}" for pairs, name in worst)
        lines.append(f"Pair sums that {verb}: {named}; {REMEDY}.")
    more = caveat(None if sums is None else sums.model_dump())
    return [*lines, *([f"{more[0].upper()}{more[1:]}."] if more else [])]


def _estimate(figure: Estimate) -> str:
    return f"{figure.estimate:.3g} [{', '.join(_figure(limit, '.3g') for limit in figure.ci)}]"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _divided(undone: DividedOut) -> str:
    scale, shift = ("{:.3g} to {:.3g}".format(*limits) for limits in (undone.scale, undone.shift))
    moved = f", shifted by {shift}" if any(undone.shift) else ""
    return (
        f"{undone.channels} of {undone.of} channels are scaled by {scale}{moved}, which the next layers undo: "
        "divided out, no fault"
    )


def _share(removed: float, before: float) -> str:
    share = f" ({removed / before:.0%})" if before > 0 else ""
    return f"{removed:.2g}{share}"


def _innocent(report: LayerReport) -> list[str]:
    """The sentence where no layer is shown to do damage."""
    if report.culprits:
        return []
    rounding = report.divergence.rounding
    if report.divergence.js.estimate <= rounding:
        return [f"No layer is to blame: the layers diverge by no more than rounding does ({rounding:.1g})."]
    return ["No layer's restoring alone removes divergence beyond doubt: the order is that of their own errors."]


def _notes(report: LayerReport) -> list[str]:
    notes = []
    for row in report.layers:
        if row.divided_out:
            notes.append(f"{row.name}: {_divided(row.divided_out)}")
        if row.unclear:
            notes.append(
                f"{row.name}: both it and the layers that read it are off: two faults, or channels scaled between "
                "them that cannot be told from a fault"
            )
        if row.reason:
            notes.append(f"{row.name}: {row.reason}")
        if row.restored_reason and row.restored_reason != row.reason:
            notes.append(f"{row.name}: cannot be restored: {row.restored_reason}")
    if report.divergence.not_finite:
        notes.append(
            f"the variant has no finite logits on {report.divergence.not_finite} samples: each counts as log 2"
        )
    if report.only_in_variant:
        notes.append(f"only in the variant: {', '.join(report.only_in_variant)}")
    for side, fidelity in (("reference", report.fidelity.reference), ("variant", report.fidelity.variant)):
        if fidelity.flips:
            where = "the fully optimised file" if fidelity.runtime == "onnxruntime" else "torch"
            notes.append(f"layer by layer, {fidelity.flips:.2%} of the {side}'s predictions differ from {where}")
    return notes
