"""The change of one layer's output: signal to noise, signed cosine, relative error, sample by sample and pooled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Moments(NamedTuple):
    """Sums over the elements of each sample, (n,) each: all that the figures need, so that no activation is kept."""

    reference: Float  # |x|^2
    variant: Float  # |y|^2
    product: Float  # x . y
    difference: Float  # |x - y|^2
    finite: NDArray[np.bool_]  # whether every element of x and y is a number; where not, the sums are 0


class Figures(NamedTuple):
    """The three figures, per sample (n,) or pooled ()."""

    sqnr_db: Float
    cosine: Float
    relative_mse: Float


def moments(x: NDArray[Any], y: NDArray[Any]) -> Moments:
    """Sums of squares and products of a reference's output x (n, ...) and a variant's y of the same shape.

    In float64; samples that hold NaN or an infinity are marked, and their sums are 0. ``ValueError`` for two shapes.

    >>> sums = moments(np.array([[3.0, 4.0]]), np.array([[3.0, 0.0]]))
    >>> [float(v[0]) for v in sums[:4]]
    [25.0, 9.0, 9.0, 16.0]
    """
    if x.shape != y.shape:
        raise ValueError(f"outputs of shapes {x.shape} and {y.shape} cannot be compared")
    a, b = (np.asarray(v, dtype=np.float64).reshape(len(v), -1) for v in (x, y))
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1))
    a, b = (np.where(finite[:, None], v, 0.0) for v in (a, b))
    first, second, third, fourth = (
        np.asarray((u * v).sum(axis=1)) for u, v in ((a, a), (b, b), (a, b), (a - b, a - b))
    )
    return Moments(first, second, third, fourth, finite)


def joined(parts: list[Moments]) -> Moments:
    """The moments of several batches, one after another: (n_1,), (n_2,), ... to (n_1 + n_2 + ...,).

    >>> x = np.array([[3.0, 4.0]])
    >>> joined([moments(x, x), moments(2 * x, x)]).reference.tolist()
    [25.0, 100.0]
    """
    return Moments(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def per_sample(sums: Moments) -> Figures:
    """The figures of each finite sample, (k,) each.

    - ``sqnr_db`` = 10 log10(|x|^2 / |x - y|^2), in dB, higher is nearer; +inf where x = y (both zero too), -inf where
      only x is zero.
    - ``cosine`` = x . y / (|x| |y|), signed, from -1 (sign-flipped) to 1; both zero: 1, one zero: 0.
    - ``relative_mse`` = |x - y|^2 / |x|^2, from 0; +inf where only x is zero. It equals 10^(-sqnr_db / 10).

    >>> figures = per_sample(moments(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([[-1.0, -1.0], [0.0, 2.0]])))
    >>> figures.cosine.round(12).tolist(), figures.relative_mse.tolist(), figures.sqnr_db.round(4).tolist()
    ([-1.0, 0.0], [4.0, inf], [-6.0206, -inf])
    """
    kept = [column[sums.finite] for column in sums[:4]]
    return _figures(*kept)


def pooled(sums: Moments) -> Figures:
    """The figures of all finite samples as one long vector, () each: samples with larger outputs weigh more.

    >>> x, y = np.array([[3.0], [4.0]]), np.array([[3.0], [0.0]])
    >>> float(pooled(moments(x, y)).relative_mse), round(float(pooled(moments(x, y)).cosine), 12)
    (0.64, 0.6)
    """
    return _figures(*(np.asarray(column[sums.finite].sum()) for column in sums[:4]))


def _figures(reference: Float, variant: Float, product: Float, difference: Float) -> Figures:
    same, empty = difference == 0, reference == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(same, 0.0, np.where(empty, np.inf, difference / np.where(empty, 1.0, reference)))
        sqnr = -10.0 * np.log10(relative)
        sizes = np.sqrt(reference) * np.sqrt(variant)
        cosine = np.where(sizes > 0, np.clip(product / np.where(sizes > 0, sizes, 1.0), -1.0, 1.0), 0.0)
    return Figures(np.asarray(sqnr), np.asarray(np.where(same, 1.0, cosine)), np.asarray(relative))
