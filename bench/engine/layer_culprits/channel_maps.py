"""Channels that the variant scales and shifts and that its next layers take back: no layer's fault, so divided out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
EXACT = 1e-3  # 1 - r^2 of a channel that is an affine image of the reference's
MOVED = 10.0  # how many times worse the channel is explained without the map, and than an exact one
SURELY_MOVED = 1000.0  # ... and where the map is so much better, however little the channel moved
POINTS = 3.0  # effective number of values that a channel's map rests on: two fit two numbers, whatever they are
ROUNDING = 1e-8  # of the mean square: a difference below is float arithmetic


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """y = scale · x + shift along one axis: x a value (n, ...) of the reference, y its counterpart in the variant."""

    axis: int
    scale: Float  # (channels,)
    shift: Float  # (channels,)

    def forward(self, x: NDArray[Any]) -> NDArray[Any]:
        """The reference's value as the variant has it.

        >>> halved = ChannelMap(1, np.array([0.5, 1.0]), np.array([0.0, 3.0]))
        >>> halved.forward(np.array([[4.0, 1.0]])).tolist(), halved.back(np.array([[2.0, 4.0]])).tolist()
        ([[2.0, 4.0]], [[4.0, 1.0]])
        """
        made: NDArray[Any] = (self._along(self.scale, x) * x + self._along(self.shift, x)).astype(x.dtype)
        return made

    def back(self, y: NDArray[Any]) -> NDArray[Any]:
        """The variant's value as the reference has it."""
        made: NDArray[Any] = ((y - self._along(self.shift, y)) / self._along(self.scale, y)).astype(y.dtype)
        return made

    def _along(self, numbers: Float, value: NDArray[Any]) -> Float:
        shape = [1] * value.ndim
        shape[self.axis] = -1
        return numbers.reshape(shape)

    @property
    def moved(self) -> int:
        """The number of channels that are not as in the reference."""
        return int(np.count_nonzero((self.scale != 1) | (self.shift != 0)))


ChannelMaps = Mapping[str, ChannelMap]  # by the variant's value; what is not there is as in the reference


@dataclass(frozen=True, eq=False)
class Fit:
    """The least-squares map from a reference's value to a variant's, channel by channel."""

    axis: int
    scale: Float
    shift: Float
    exact: NDArray[np.bool_]  # (channels,) whether the map explains the channel
    moved: NDArray[np.bool_]  # ... and nothing less does
    left: Float  # 1 - r^2 of each channel
    ends: tuple[Float, Float, Float]  # of each channel: the variant's lowest value, the reference's lowest and highest

    def as_map(self) -> ChannelMap | None:
        """The map of the channels that moved, the others as they are; None where none did."""
        if not self.moved.any():
            return None
        return ChannelMap(self.axis, np.where(self.moved, self.scale, 1.0), np.where(self.moved, self.shift, 0.0))


def fit(reference: Sequence[NDArray[Any]], variant: Sequence[NDArray[Any]], axis: int | None = None) -> Fit:
    """Fit a value (n, ...) of the variant by the reference's, batch by batch, along an axis; None: axis 1 or the last.

    A channel is exact where 1 - r^2 is at most a thousandth and more than a spike or two speak for it (so are two
    constants); it moved where it is exact, and leaving it as it is explains it ten times worse and not exactly, or a
    thousand times worse. Of two axes the one with the smaller residual is taken.

    >>> x = np.array([[1.0, 1.0], [2.0, 3.0], [4.0, 2.0], [5.0, 5.0], [6.0, 1.0]])
    >>> fitted = fit([x], [x * [2.0, 1.0] + [1.0, 0.0]])
    >>> fitted.scale.round(9).tolist(), fitted.shift.round(9).tolist(), fitted.moved.tolist()
    ([2.0, 1.0], [1.0, 0.0], [True, False])
    """
    x, y = (np.concatenate([np.asarray(part, dtype=np.float64) for part in parts]) for parts in (reference, variant))
    axes = {1, x.ndim - 1} if axis is None else {axis % x.ndim}
    fits = [_along(axis, x, y) for axis in sorted(axes)]
    return min(fits, key=lambda pair: pair[1])[0]


def _along(axis: int, x: Float, y: Float) -> tuple[Fit, float]:
    with np.errstate(all="ignore"):  # a channel that holds NaN or an infinity is never exact
        return _least_squares(axis, x, y)


def _least_squares(axis: int, x: Float, y: Float) -> tuple[Fit, float]:
    a, b = (np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1) for v in (x, y))
    mean_a, mean_b = a.mean(axis=1), b.mean(axis=1)
    spread_a, spread_b = a.var(axis=1), b.var(axis=1)
    together = ((a - mean_a[:, None]) * (b - mean_b[:, None])).mean(axis=1)
    size = (a**2).mean(axis=1) + (b**2).mean(axis=1)
    still_a, still_b = (spread <= 1e-12 * size for spread in (spread_a, spread_b))
    still = still_a & still_b
    scale = np.where(still_a, 1.0, together / np.where(still_a, 1.0, spread_a))
    shift = mean_b - scale * mean_a
    left = ((scale[:, None] * a + shift[:, None] - b) ** 2).mean(axis=1)
    plain = ((a - b) ** 2).mean(axis=1)
    fourth = ((a - mean_a[:, None]) ** 4).sum(axis=1)
    points = np.where(still_a, 0.0, (a.shape[1] * spread_a) ** 2 / np.where(still_a, 1.0, fourth))
    exact = still | (~still_a & ~still_b & (together != 0) & (left <= EXACT * spread_b) & (points >= POINTS))
    clearly = (plain > SURELY_MOVED * left) | ((plain > MOVED * left) & (plain > MOVED * EXACT * spread_b))
    moved = exact & clearly & (plain > ROUNDING * size)
    rest = np.where(still_b, 0.0, left / np.where(still_b, 1.0, spread_b))
    return Fit(axis, scale, shift, exact, moved, rest, (b.min(axis=1), a.min(axis=1), a.max(axis=1))), float(left.sum())
