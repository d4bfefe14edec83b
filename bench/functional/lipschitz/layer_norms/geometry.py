"""Where the windows of a convolution or pooling layer stand: one axis at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | str | Sequence[int | Sequence[int]]


@dataclass(frozen=True)
class Axis:
    """One axis: window o holds the pixels ``o · stride − before + t · dilation``, t = 0 … kernel − 1.

    Args:
        size: Pixels of the input.
        kernel: Taps of a window.
        stride: Pixels between two windows.
        before: Padding before the first pixel.
        after: Padding behind the last one.
        dilation: Pixels between two taps.
        ceil: Whether a last window may reach beyond the padding, if it begins before its end (``ceil_mode``).

    Raises:
        ValueError: a number is out of range, or no window fits.

    >>> Axis(size=5, kernel=3, stride=2, before=1, after=1).positions().tolist()
    [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no axis."""
        for name in ("size", "kernel", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}; at least 1 is needed")
        if min(self.before, self.after) < 0:
            raise ValueError(f"padding {(self.before, self.after)}; negative padding (cropping) is not supported")
        if self.outputs < 1:
            raise ValueError(f"a window of {self.extent} pixels does not fit {self.padded} pixels, padding included")

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last one."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padded(self) -> int:
        """Pixels of the input with its padding."""
        return self.before + self.size + self.after

    @property
    def outputs(self) -> int:
        """The number of windows."""
        span = self.padded - self.extent
        if not self.ceil:
            return span // self.stride + 1
        number = -(-span // self.stride) + 1
        return number - 1 if (number - 1) * self.stride >= self.size + self.before else number

    def positions(self) -> NDArray[np.int64]:
        """The pixel under each tap of each window, (outputs, kernel): negative or ``size`` and more in the padding."""
        starts = np.arange(self.outputs)[:, None] * self.stride - self.before
        return np.asarray(starts + np.arange(self.kernel) * self.dilation, dtype=np.int64)

    def inside(self) -> NDArray[np.bool_]:
        """Whether each tap of each window lies on a pixel of the input, (outputs, kernel)."""
        positions = self.positions()
        return np.asarray((positions >= 0) & (positions < self.size))

    def windows_over_pixels(self) -> NDArray[np.int64]:
        """The number of windows over each pixel of the input, (size,)."""
        return np.bincount(self.positions()[self.inside()], minlength=self.size)


def axes(
    size: Ints, kernel: Sequence[int], stride: Ints = 1, padding: Padding = 0, dilation: Ints = 1, ceil: bool = False
) -> tuple[Axis, ...]:
    """The axes of a layer; a single number holds for every axis.

    Args:
        size: Pixels of the input along each axis.
        kernel: Taps along each axis.
        stride: Along each axis.
        padding: Along each axis a number, or a pair (before, after); or ``valid`` or ``same`` as torch has them.
        dilation: Along each axis.
        ceil: ``ceil_mode`` of pooling layers.

    Raises:
        ValueError: numbers and axes do not fit, or see ``Axis``.

    >>> axes(6, (3, 3), padding=((0, 1), (1, 1)))[0]
    Axis(size=6, kernel=3, stride=1, before=0, after=1, dilation=1, ceil=False)
    """
    sizes, strides = each_axis(size, len(kernel), "size"), each_axis(stride, len(kernel), "stride")
    dilations = each_axis(dilation, len(kernel), "dilation")
    pads = paddings(padding, kernel, strides, dilations)
    return tuple(Axis(sizes[a], int(taps), strides[a], *pads[a], dilations[a], ceil) for a, taps in enumerate(kernel))


def each_axis(value: Ints, count: int, name: str) -> tuple[int, ...]:
    """The value along each of so many axes.

    Raises:
        ValueError: there are neither one number nor so many.

    >>> each_axis(2, 3, "stride")
    (2, 2, 2)
    """
    values = tuple(map(int, value)) if isinstance(value, Sequence) else (int(value),) * count
    if len(values) != count:
        raise ValueError(f"{name} {value}; a kernel of {count} axes needs one number or {count}")
    return values


def paddings(
    padding: Padding, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """The padding (before, after) along each axis; arguments and errors as in ``axes``.

    >>> paddings("same", (3, 4), (1, 1), (1, 1))
    ((1, 1), (1, 2))
    """
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(kernel)
        if padding != "same" or set(strides) != {1}:
            raise ValueError(
                f"padding {padding!r} with stride {tuple(strides)}; give numbers, 'valid', or 'same' at stride 1"
            )
        totals = [dilation * (taps - 1) for dilation, taps in zip(dilations, kernel, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    listed = list(padding) if isinstance(padding, Sequence) else [padding] * len(kernel)
    if len(listed) != len(kernel):
        raise ValueError(f"padding {padding}; a kernel of {len(kernel)} axes needs one number or pair for each")
    pairs = [tuple(map(int, pad)) if isinstance(pad, Sequence) else (int(pad), int(pad)) for pad in listed]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"padding {padding}; along an axis a number or a pair (before, after) is needed")
    return tuple((pair[0], pair[1]) for pair in pairs)
