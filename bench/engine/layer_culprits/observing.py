"""Both networks side by side, layer by layer: how far each matched layer's output moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine.layer_culprits.channel_maps import ChannelMaps
from bench.engine.layer_culprits.restoring import Matching, without_ones
from bench.engine.layer_culprits.runs import Side, Values
from bench.functional.layer_divergence import Figures, Moments, joined, moments, per_sample, pooled
from bench.results.layers import ErrorSpread, NotFinite, OutputError

if TYPE_CHECKING:
    from bench.layer_matching import LayerPair

QUANTILES = (0.05, 0.5, 0.95)
UNMATCHED = "the variant has no layer that answers to it"


class Observed(NamedTuple):
    """A layer's output error, or why it is not known."""

    output: OutputError
    before_activation: OutputError | None
    not_finite: NotFinite | None
    reason: str | None


@dataclass
class LayerSums:
    """The sums over the outputs of one layer of the reference and of its counterpart, batch by batch."""

    outputs: list[Moments] = field(default_factory=list)
    before_activation: list[Moments] = field(default_factory=list)
    broken: int = 0  # samples on which the variant's output holds NaN or an infinity
    broken_here: int = 0  # ... although all that the layer reads is finite
    reason: str | None = None

    def observed(self) -> Observed:
        """The output error over all batches."""
        reason = self.reason
        if self.broken:
            source = "of finite inputs" if self.broken_here else "as in what it reads"
            reason = f"NaN or infinite values on {self.broken} samples, {source}"
        return Observed(
            output=output_error(joined(self.outputs) if self.outputs else None),
            before_activation=output_error(joined(self.before_activation)) if self.before_activation else None,
            not_finite=NotFinite(samples=self.broken, own=self.broken_here > 0) if self.broken else None,
            reason=reason,
        )


def output_error(moments: Moments | None) -> OutputError:
    """Figures pooled over samples, and their 5 %, 50 % and 95 % quantiles over samples; null where infinite."""
    if moments is None or not moments.finite.any():
        return OutputError(sqnr_db=None, cosine=None, relative_mse=None, identical=False, spread=None)
    whole, each = pooled(moments), per_sample(moments)
    spread = {
        name: [_number(q) for q in np.quantile(getattr(each, name), QUANTILES, method="inverted_cdf")]
        for name in Figures._fields
    }
    return OutputError(
        sqnr_db=_number(whole.sqnr_db),
        cosine=_number(whole.cosine),
        relative_mse=_number(whole.relative_mse),
        identical=bool(whole.relative_mse == 0),
        spread=ErrorSpread(**spread),
    )


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def observe(
    matching: Matching, sides: tuple[Side, Side], parts: list[slice], maps: ChannelMaps
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[int, Observed]]:
    """Logits (n, classes) of both, and how far each layer of the reference moved, by its position.

    Values of the variant are led back to the reference's scale where ``maps`` has them.
    """
    sums = {pair.reference: LayerSums() for pair in matching.pairs if pair.reference is not None}
    logits: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for part in parts:
        values = sides[0].run(part), sides[1].run(part)
        for outputs, own, side in zip(logits, values, sides, strict=True):
            outputs.append(np.asarray(own[side.graph.output], dtype=np.float64))
        for pair in matching.pairs:
            if pair.reference is not None:
                _observe_layer(sums[pair.reference], matching, pair, values, maps)
    observed = {position: layer.observed() for position, layer in sums.items()}
    return np.concatenate(logits[0]), np.concatenate(logits[1]), observed


def _observe_layer(
    sums: LayerSums, matching: Matching, pair: LayerPair, values: tuple[Values, Values], maps: ChannelMaps
) -> None:
    if pair.reference is None or pair.variant is None:
        sums.reason = UNMATCHED
        return
    exits = matching.exits(pair.reference)
    ours, theirs = matching.reference.layers[pair.reference], matching.variant.layers[pair.variant]
    if not exits:
        sums.reason = "nothing that others read of it answers to a value of the reference"
        return
    other, own = list(exits.items())[-1]
    a, b = values[0][own], values[1][other]
    broken = ~_finite(b)
    sums.broken += int(broken.sum())
    sums.broken_here += int((broken & np.all([_finite(values[1][name]) for name in theirs.entries], axis=0)).sum())
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        sums.reason = "its output is integers whose scale is not known"
    elif without_ones(a.shape[1:]) != without_ones(b.shape[1:]):
        what = f"its output has shape {a.shape[1:]} in the reference and {b.shape[1:]} in the variant"
        sums.reason = f"{what}: the layer is matched, its channels are not"
    else:
        sums.outputs.append(moments(a, (maps[other].back(b) if other in maps else b).reshape(a.shape)))
        if other in maps:  # in front of an activation the map is another one, and not known
            return
        inner = [
            v.get(name or "")
            for v, name in zip(values, (ours.before_activation, theirs.before_activation), strict=True)
        ]
        first, second = inner
        if first is not None and second is not None and first.shape == second.shape and first.dtype.kind == "f":
            sums.before_activation.append(moments(first, second))


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each sample is finite, (n,)."""
    if values.dtype.kind != "f":
        return np.ones(len(values), dtype=bool)
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))
