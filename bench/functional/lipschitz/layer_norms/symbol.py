"""The symbol of one convolution on a grid of frequencies large enough that nothing wraps around.

A convolution with zero padding is a block of a circular convolution on a larger circle, on which no input pixel meets
an output pixel the wrong way round. The norm of the circular one is the largest spectral norm of its symbol
``K(w) = Σ_t K_t e^{−i⟨w, t⟩}`` over the grid (Sedghi et al., arXiv 1805.10408), so it bounds that of the block.
The symbol of two layers, one behind the other, bounds nothing: the padding crops what lies between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from bench.functional.lipschitz.layer_norms.geometry import Axis
from bench.functional.lipschitz.layer_norms.largest_norm import Ends, largest_norm
from bench.functional.lipschitz.layer_norms.rounding import UNIT, inward, outward, scaled

Float = NDArray[np.float64]

CHUNK = 2**21  # complex numbers held at a time


@dataclass(frozen=True, eq=False)
class Grid:
    """One axis on its circle of ``points`` frequencies.

    Tap t reads the input pixels of the phase ``phases[t]`` (of as many as the stride has), shifted by ``shifts[t]``
    steps of the circle; ``used[t]``: some window has this tap on a pixel.
    """

    points: int
    phases: NDArray[np.int64]  # (kernel,), each 0 ... number − 1
    shifts: NDArray[np.int64]  # (kernel,)
    used: NDArray[np.bool_]  # (kernel,)
    exact: bool = False  # whether circle and operator are the same
    repeats: int = 1  # how often the operator holds a row of the circle


def zero_padded_grid(axis: Axis) -> Grid:
    """The smallest circle on which this axis does not wrap around.

    Stride s splits pixels into s phases, ``t · dilation = q s + r``: a convolution of stride 1 over s times as many
    channels, of tap q on phase r. With pixels a of a phase from a_min to a_max (padding counted) and outputs from 0 to
    m − 1, tap q must meet ``a − o`` where that is q, and nowhere else modulo N: ``N > a_max − q_min`` and ``N > q_max −
    a_min + m − 1``, taps that never lie on a pixel left out. At stride 1 this is ``N ≥ n + max(before, after)`` for
    paddings below the kernel's extent. A larger N is valid too. Dilation d at stride 1 takes the grid of N rounded up
    to a multiple of d, on which the symbol has only N / d different values.

    >>> zero_padded_grid(Axis(size=12, kernel=5, before=2, after=2)).points
    14
    >>> zero_padded_grid(Axis(size=12, kernel=3, stride=3)).points  # windows that do not overlap: one matrix
    1
    """
    inside = axis.inside()
    used: NDArray[np.bool_] = np.any(inside, axis=0)
    taps = np.arange(axis.kernel) * axis.dilation
    phases, shifts = taps % axis.stride, taps // axis.stride
    if not used.any() or len(set(shifts[used])) == 1:
        return Grid(1, phases, shifts, used)
    rows = np.flatnonzero(inside.any(axis=1))
    points = int(rows[-1] - rows[0]) + 1
    for phase in set(phases[used].tolist()):
        q = shifts[used & (phases == phase)]
        low = -(-(axis.before - phase) // axis.stride)
        high = (axis.before + axis.size - 1 - phase) // axis.stride
        points = max(points, high - int(q.min()) + 1, int(q.max()) - low + axis.outputs, high - low + 1)
    if axis.stride == 1:
        return Grid(-(-points // axis.dilation), phases, np.arange(axis.kernel), used)
    return Grid(points, phases, shifts, used)


def circular_grid(axis: Axis) -> Grid:
    """The circle of the input itself, for circular padding.

    Exact where the stride divides the size and there are size / stride outputs. Fewer outputs are a block of that;
    more hold a row several times, which multiplies the norm by at most the root of how often. Where the stride does
    not divide the size, outputs are taken from the circle at stride 1.

    >>> circular_grid(Axis(size=8, kernel=3, stride=2, before=1, after=1)).points
    4
    """
    stride = axis.stride if axis.size % axis.stride == 0 else 1
    taps = (np.arange(axis.kernel) * axis.dilation - axis.before) % axis.size
    points = axis.size // stride
    starts = np.arange(axis.outputs) * axis.stride % axis.size
    exact = stride == axis.stride and axis.outputs == points
    repeats = int(np.bincount(starts).max())
    return Grid(points, taps % stride, taps // stride, np.ones(axis.kernel, bool), exact, repeats)


def symbol_norm(kernel: Float, grids: tuple[Grid, ...]) -> Ends:
    """Ends of ``max_w ‖K(w)‖₂`` over the frequencies of a grid, the largest over the groups.

    Half of the frequencies suffice: a real kernel has the conjugate symbol at −w. What rounding does to the symbol,
    at most ``u (taps + 16) √taps ‖K‖_F``, is added to the upper end.

    Args:
        kernel: (groups, outputs of a group, inputs of a group, taps ...).
        grids: One for each axis of taps.

    >>> ends = symbol_norm(np.array([[[[1.0, -1.0]]]]), (zero_padded_grid(Axis(size=3, kernel=2, before=1, after=1)),))
    >>> round(ends.upper, 6)
    2.0
    """
    groups, rows, columns = kernel.shape[:3]
    taps = kernel.shape[3:]
    used = np.ones(taps, bool)
    for a, grid in enumerate(grids):
        used &= grid.used.reshape([-1 if b == a else 1 for b in range(len(grids))])
    number, ends = int(used.sum()), Ends(0.0, 0.0, "SVD")
    if not number:
        return ends
    whole, exponents = scaled(kernel.reshape(1, -1, used.size)[:, :, used.ravel()])
    flat = whole.reshape(groups, rows * columns, number)
    phases = [sorted(set(grid.phases[grid.used])) for grid in grids]
    width = columns * prod(map(len, phases))
    for factors in _factors(grids, phases, used, max(1, CHUNK // (groups * rows * width))):  # (phases, taps, points)
        symbol = flat[None] @ factors[:, None]  # (phases, groups, rows · columns, points)
        blocks = symbol.reshape(len(factors), groups, rows, columns, -1).transpose(4, 1, 2, 3, 0)
        found = largest_norm(blocks.reshape(-1, rows, width), ends.lower)
        ends = Ends(max(ends.upper, found.upper), max(ends.lower, found.lower), found.rule)
    error = UNIT * (number + 16) * number**0.5 * float(np.linalg.norm(flat))
    upper, lower = (float(np.ldexp(end, exponents[0])) for end in (ends.upper + 2 * error, ends.lower - error))
    return Ends(outward(upper, 0.0), inward(lower, 0.0), ends.rule)


def _factors(
    grids: tuple[Grid, ...], phases: list[list[int]], used: NDArray[np.bool_], at_once: int
) -> Iterator[NDArray[np.complex128]]:
    """``e^{−i⟨w, q⟩}`` where a tap is of a phase, else 0: (phases, taps, frequencies), some frequencies at a time."""
    taps = np.argwhere(used)  # (taps, axes)
    masks = np.array(
        [
            [
                all(grids[a].phases[t] == phase for a, (t, phase) in enumerate(zip(tap, chosen, strict=True)))
                for tap in taps
            ]
            for chosen in product(*phases)
        ]
    )
    shape = [grid.points for grid in grids]
    shape[-1] = shape[-1] // 2 + 1
    for start in range(0, prod(shape), at_once):
        frequencies = np.unravel_index(np.arange(start, min(start + at_once, prod(shape))), shape)
        turns = np.zeros((len(taps), len(frequencies[0])))
        for a, grid in enumerate(grids):  # whole numbers modulo the grid: no large angle loses digits
            turns += np.outer(grid.shifts[taps[:, a]], frequencies[a]) % grid.points / grid.points
        yield masks[:, :, None] * np.exp(-2j * np.pi * turns)
