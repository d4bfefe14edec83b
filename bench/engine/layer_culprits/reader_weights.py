"""Scalings and shifts of a layer's input channels in the variant, read from the layer's weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine.layer_culprits.runs import Weights

Float = NDArray[np.float64]
EXACT = 1e-2  # 1 - r^2 of a channel's weights: rounding to 8 bits leaves less
NEAR = 0.03  # of a logarithm of scales: two that an exact fit cannot tell apart


class WeightPair(NamedTuple):
    """One layer's weights (outputs, channels, ...) in both networks, and biases (outputs,) where they are known."""

    reference: Float
    variant: Float
    biases: tuple[Float, Float] | None
    outputs: Float  # (outputs,) how much larger the variant's outputs are meant to be

    @classmethod
    def of(cls, reference: Weights | None, variant: Weights | None, outputs: Float | None) -> WeightPair | None:
        """None where a network's weights are not known or their shapes differ."""
        if reference is None or variant is None or reference.weights.shape != variant.weights.shape:
            return None
        first, second = (np.asarray(w.weights, dtype=np.float64) for w in (reference, variant))
        biases = None
        if reference.bias is not None and variant.bias is not None:
            biases = np.asarray(reference.bias, dtype=np.float64), np.asarray(variant.bias, dtype=np.float64)
        scale = np.ones(len(first)) if outputs is None else _each_output(outputs, len(first))
        return cls(first, second, biases, scale)


def _each_output(scale: Float, outputs: int) -> Float:
    """The scale of each output of a layer from that of its value, which may have been flattened; 1 if it is not one."""
    if len(scale) % outputs:
        return np.ones(outputs)
    table = scale.reshape(outputs, -1)
    middle = np.asarray(np.median(table, axis=1))
    agree = np.isclose(table, middle[:, None], rtol=NEAR).mean(axis=1)
    return middle if (agree > 0.5).all() else np.ones(outputs)


def undone_by(pairs: list[WeightPair], channels: int) -> tuple[Float, Float]:
    """The scale (channels,) that readers' weights undo exactly, NaN where none do so; and 1 - r^2 of that.

    A reader undoes a where its weights are outputs · w / a. Behind an activation the outputs' scale may be that of a
    BatchNorm folded forward, which the weights know nothing of: both are tried.

    >>> w = np.array([[[1.0], [2.0]], [[3.0], [1.0]]])
    >>> undone_by([WeightPair(w, w * [[0.5], [1.0]], None, np.ones(2))], 2)[0].tolist()
    [2.0, 1.0]
    """
    out, rest = np.full(channels, np.nan), np.full(channels, np.inf)
    for pair in pairs:
        for outputs in (pair.outputs, np.ones(len(pair.outputs))):
            a, b = (
                np.moveaxis(w, 1, 0).reshape(channels, -1) for w in (_scaled(pair.reference, outputs), pair.variant)
            )
            with np.errstate(all="ignore"):
                factor = (a * b).sum(axis=1) / (a**2).sum(axis=1)
                left = ((factor[:, None] * a - b) ** 2).sum(axis=1) / (b**2).sum(axis=1)
                better = (left <= EXACT) & (factor != 0) & (left < rest)
                out, rest = np.where(better, 1 / factor, out), np.where(better, left, rest)
    return out, rest


def _scaled(weights: Float, outputs: Float) -> Float:
    return weights * outputs.reshape(-1, *[1] * (weights.ndim - 1))


def shift_undone_by(pair: WeightPair, scale: Float, shift: Float, sought: NDArray[np.bool_]) -> Float | None:
    """Shifts (channels,), some of them sought: those that the difference of the biases undoes, by least squares.

    bias = outputs · (bias_0 - sum over channels of w · shift / scale), a convolution's w summed over its kernel. None
    where biases are not known.
    """
    if pair.biases is None:
        return None
    summed = _scaled(pair.reference, pair.outputs).reshape(*pair.reference.shape[:2], -1).sum(axis=2) / scale
    missing = pair.outputs * pair.biases[0] - pair.biases[1] - summed[:, ~sought] @ shift[~sought]
    undone = shift.copy()
    undone[sought] = np.linalg.lstsq(summed[:, sought], missing, rcond=None)[0]
    return undone


def followed_by(pair: WeightPair, scale: Float) -> bool:
    """Whether the sizes of the weights follow 1 / scale over channels: twice as near as they would without it.

    Sizes are taken once over all outputs and once as their median, so that some outputs may be off, or all swapped.
    A scale that is the same for all channels is judged by its size alone.

    >>> w = np.array([[[1.0], [2.0], [4.0]], [[3.0], [1.0], [2.0]]])
    >>> scale = np.array([1.0, 2.0, 8.0])
    >>> made = -7 * w[::-1] / scale[:, None]  # swapped, sign-flipped and far too large
    >>> [followed_by(WeightPair(w, v, None, np.ones(2)), scale) for v in (made, w)]
    [True, False]
    """
    a, b = (np.sqrt((w.reshape(*w.shape[:2], -1) ** 2).sum(axis=2)) for w in (pair.reference, pair.variant))
    with np.errstate(all="ignore"):
        together = np.sqrt((b**2).sum(axis=0)) / np.sqrt((a**2).sum(axis=0))
        middle = np.median(np.where(a > 0, b / a, 0.0), axis=0)
    return any(_follows(np.asarray(sizes), scale) for sizes in (together, middle))


def _follows(sizes: Float, scale: Float) -> bool:
    there = np.isfinite(sizes) & (sizes > 0)
    if not there.any():
        return False
    grown, wanted = log_size(sizes[there]), log_size(scale[there])
    if spread(wanted) > NEAR:
        return 2 * spread(grown + wanted) < spread(grown)
    return bool(2 * abs(np.median(grown + wanted)) < abs(np.median(grown)))


def log_size(scale: Float) -> Float:
    """Logarithm of |scale|, -inf for 0."""
    with np.errstate(all="ignore"):
        return np.asarray(np.log(np.abs(scale)))


def spread(values: Float) -> float:
    """Median distance from the median."""
    return float(np.median(np.abs(values - np.median(values))))
