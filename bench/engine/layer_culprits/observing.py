"""Both networks side by side, layer by layer: how far each matched layer's output moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.engine.layer_culprits.channel_maps import ChannelMaps
from bench.engine.layer_culprits.restoring import Matching, without_ones
from bench.engine.layer_culprits.runs import Side, Values
from bench.functional.layer_divergence import Figures, Moments, joined, moments, per_sample, pooled

if TYPE_CHECKING:
    from bench.layer_matching import LayerPair

QUANTILES = (0.05, 0.5, 0.95)
UNMATCHED = "the variant has no layer that answers to it"


@dataclass
class Seen:
    """What one layer of the reference and its counterpart showed, batch by batch."""

    outputs: list[Moments] = field(default_factory=list)
    before_activation: list[Moments] = field(default_factory=list)
    broken: int = 0  # samples on which the variant's output holds NaN or an infinity
    broken_here: int = 0  # ... although all that the layer reads is finite
    reason: str | None = None

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        inner = as_json(joined(self.before_activation)) if self.before_activation else None
        reason = self.reason
        if self.broken:
            source = "of finite inputs" if self.broken_here else "as in what it reads"
            reason = f"NaN or infinite values on {self.broken} samples, {source}"
        return {
            **as_json(joined(self.outputs) if self.outputs else None),
            "before_activation": inner,
            "not_finite": {"samples": self.broken, "own": self.broken_here > 0} if self.broken else None,
            "reason": reason,
        }


def as_json(moments: Moments | None) -> dict[str, Any]:
    """Figures pooled over samples, and their 5 %, 50 % and 95 % quantiles over samples; null where infinite."""
    if moments is None or not moments.finite.any():
        return {**dict.fromkeys(Figures._fields), "identical": False, "spread": None}
    whole, each = pooled(moments), per_sample(moments)
    spread = {
        name: [_number(q) for q in np.quantile(getattr(each, name), QUANTILES, method="inverted_cdf")]
        for name in Figures._fields
    }
    figures = {name: _number(getattr(whole, name)) for name in Figures._fields}
    return {**figures, "identical": bool(whole.relative_mse == 0), "spread": spread}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def observe(
    matching: Matching, sides: tuple[Side, Side], parts: list[slice], maps: ChannelMaps
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[int, Seen]]:
    """Logits (n, classes) of both, and what each layer of the reference showed, by its position.

    Values of the variant are led back to the reference's scale where ``maps`` has them.
    """
    seen = {pair.reference: Seen() for pair in matching.pairs if pair.reference is not None}
    logits: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for part in parts:
        values = sides[0].run(part), sides[1].run(part)
        for kept, found, side in zip(logits, values, sides, strict=True):
            kept.append(np.asarray(found[side.graph.output], dtype=np.float64))
        for pair in matching.pairs:
            if pair.reference is not None:
                _observe_layer(seen[pair.reference], matching, pair, values, maps)
    return np.concatenate(logits[0]), np.concatenate(logits[1]), seen


def _observe_layer(
    seen: Seen, matching: Matching, pair: LayerPair, values: tuple[Values, Values], maps: ChannelMaps
) -> None:
    if pair.reference is None or pair.variant is None:
        seen.reason = UNMATCHED
        return
    exits = matching.exits(pair.reference)
    ours, theirs = matching.reference.layers[pair.reference], matching.variant.layers[pair.variant]
    if not exits:
        seen.reason = "nothing that others read of it answers to a value of the reference"
        return
    other, own = list(exits.items())[-1]
    a, b = values[0][own], values[1][other]
    broken = ~_finite(b)
    seen.broken += int(broken.sum())
    seen.broken_here += int((broken & np.all([_finite(values[1][name]) for name in theirs.entries], axis=0)).sum())
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        seen.reason = "its output is integers whose scale is not known"
    elif without_ones(a.shape[1:]) != without_ones(b.shape[1:]):
        what = f"its output has shape {a.shape[1:]} in the reference and {b.shape[1:]} in the variant"
        seen.reason = f"{what}: the layer is matched, its channels are not"
    else:
        seen.outputs.append(moments(a, (maps[other].back(b) if other in maps else b).reshape(a.shape)))
        if other in maps:  # in front of an activation the map is another one, and not known
            return
        inner = [
            v.get(name or "")
            for v, name in zip(values, (ours.before_activation, theirs.before_activation), strict=True)
        ]
        first, second = inner
        if first is not None and second is not None and first.shape == second.shape and first.dtype.kind == "f":
            seen.before_activation.append(moments(first, second))


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each sample is finite, (n,)."""
    if values.dtype.kind != "f":
        return np.ones(len(values), dtype=bool)
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))
