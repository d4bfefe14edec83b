"""The sums of 8-bit products, and what of a network saturates on some processors, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.results import Cell
from bench.wording import plain

OTHER = {"exact": "saturating", "saturating": "exact"}
REMEDY = "7-bit weights (reduce_range), uint8 weights or the session option session.x64quantprecision avoid it"


def sums_told(cells: Iterable[Cell]) -> dict[str, Any] | None:
    """The record of 8-bit sums in the cells of one variant on one target; None where it has no 8-bit products."""
    for cell in cells:
        variant = cell.details.get("variant")
        sums = variant.get("integer_sums") if isinstance(variant, Mapping) else None
        if isinstance(sums, dict):
            return sums
    return None


def layers_of(sums: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The layers whose sums can saturate, the largest share of weight pairs first; unknown shares before all.

    >>> layers_of({"layers": [{"name": "a", "can_saturate": 0.1}, {"name": "b", "can_saturate": 0.2}]})[0]["name"]
    'b'
    """
    listed = sums.get("layers") if isinstance(sums, Mapping) else None
    layers = [layer for layer in listed if isinstance(layer, dict)] if isinstance(listed, list) else []
    return sorted(layers, key=lambda layer: -(1.0 if layer.get("can_saturate") is None else layer["can_saturate"]))


def what_can_saturate(layers: Sequence[Mapping[str, Any]]) -> str:
    """The worst layer in words.

    >>> what_can_saturate([{"name": "conv1", "can_saturate": 0.275}, {"name": "conv2", "can_saturate": 0.01}])
    "27.5 % of weight pairs in layer 'conv1' can saturate, and of 1 more layer"
    """
    worst, more = layers[0], len(layers) - 1
    name = plain(worst.get("name", "?"))
    share = worst.get("can_saturate")
    if share is None:
        text = f"the weights of layer '{name}' are no constants, so its sums may saturate"
    else:
        text = f"{100 * share:.3g} % of weight pairs in layer '{name}' can saturate"
    return text + (f", and of {more} more layer{'s' if more > 1 else ''}" if more else "")


def caveat(sums: Mapping[str, Any] | None, elsewhere: Mapping[str, Sequence[str]] | None = None) -> str:
    """The caveat of a verdict on a network that is another function on other processors; empty where it is not.

    Args:
        sums: of the variant on its target, as ``sums_told`` gives it.
        elsewhere: names of targets on which the variant was measured, by the kind of their sums.

    >>> told = {"kind": "exact", "layers": [{"name": "conv1", "can_saturate": 0.02}]}
    >>> print(caveat(told, {"saturating": ["edge-avx2"]}))
    it is another function on x86 without VNNI (2 % of weight pairs in layer 'conv1' can saturate): see edge-avx2
    >>> print(caveat(told)[-49:])
    : measure it with integer_sums = "saturating" too
    """
    layers = layers_of(sums)
    if sums is None or not layers:
        return ""
    what, measured = what_can_saturate(layers), elsewhere or {}
    kind = sums.get("kind")
    if kind is None:
        return f"how its provider sums 8-bit products is not known ({what}): measure it with exact and saturating sums"
    if kind == "saturating" and sums.get("asked", "native") == "saturating":
        return ""
    other = OTHER[str(kind)]
    processors = "on x86 without VNNI" if other == "saturating" else "where 8-bit sums are exact, as on x86 with VNNI"
    names = ", ".join(plain(name) for name in measured.get(other, ()))
    advice = f"see {names}" if names else f'measure it with integer_sums = "{other}" too'
    return f"it is another function {processors} ({what}): {advice}"


def unmeasured(sums: Mapping[str, Any] | None, elsewhere: Mapping[str, Sequence[str]] | None = None) -> bool:
    """Whether there is a caveat, and nothing was measured that answers it."""
    if sums is None or not caveat(sums, elsewhere):
        return False
    return not (elsewhere or {}).get(OTHER.get(str(sums.get("kind")), ""))


def sums_line(sums: Mapping[str, Any]) -> str:
    """One line for a report: how sums were computed, what can saturate, what does on samples, and the remedy.

    >>> layer = {"name": "conv1", "can_saturate": 0.275, "saturated": 0.0312}
    >>> sums_line({"kind": "saturating", "simulated": True, "samples": 64, "layers": [layer]})[:75]
    "saturating, simulated; 27.5 % of weight pairs in layer 'conv1' can saturate"
    """
    kind = sums.get("kind") or "of a kind that its provider does not tell"
    parts = [f"{plain(kind)}, simulated" if sums.get("simulated") else plain(kind)]
    layers = layers_of(sums)
    if not layers:
        return f"{parts[0]}; no pair of weights can saturate: the same function on every processor"
    parts.append(what_can_saturate(layers))
    seen = [layer for layer in layers if layer.get("saturated") is not None]
    if seen:
        most = max(seen, key=lambda layer: float(layer["saturated"]))
        where = f"of the pair sums of layer '{plain(most['name'])}' do on x86 without VNNI"
        parts.append(f"on {sums.get('samples', 0)} samples {100 * most['saturated']:.3g} % {where}")
    elif sums.get("reason"):
        parts.append(f"what does on samples is not known: {plain(sums['reason'])}")
    return "; ".join([*parts, REMEDY])


def sums_lines(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Every variant with 8-bit products once: (its name with its target, ``sums_line``)."""
    lines: dict[tuple[str, str], str] = {}
    for cell in cells:
        sums = sums_told([cell])
        if sums is not None:
            lines.setdefault((plain(cell.variant), plain(cell.target)), sums_line(sums))
    return [(f"{variant} ({target})", line) for (variant, target), line in lines.items()]


def kinds_elsewhere(cells: Iterable[Cell], variant: str, target: str) -> dict[str, list[str]]:
    """The other targets on which a variant was measured, by the kind of their sums."""
    targets: dict[str, list[str]] = {}
    for cell in cells:
        sums = sums_told([cell])
        if sums is not None and cell.status == "ok" and cell.variant == variant and cell.target != target:
            names = targets.setdefault(str(sums.get("kind")), [])
            if cell.target not in names:
                names.append(cell.target)
    return targets
