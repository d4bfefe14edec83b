"""Intervals of what rounds, and lines below and above it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.canonical_form.nodes import Quantise
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.relaxations.activation_lines import Lines
from bench.functional.lipschitz.relaxations.ends import Ends, outward


def rounded_range(node: Quantise, ends: Ends) -> Ends:
    """An interval that holds the quantiser's value for every z between the ends: it rises, so the values of both ends.

    Each end is moved out by more than a division and a sum in float64 may round, so that no tie falls to the wrong
    side.

    >>> node = Quantise(name="q", inputs=(0,), shape=(1,), scale=torch.tensor(0.5).double(),
    ...                 low=torch.tensor(0.0).double(), high=torch.tensor(1.0).double())
    >>> found = rounded_range(node, Ends(torch.tensor([0.2]).double(), torch.tensor([0.6]).double()))
    >>> [round(float(end), 9) + 0.0 for end in found]
    [0.0, 0.5]
    """
    offset = _flat(node, node.zero * node.scale).abs()
    doubt = 8 * UNIT * (ends.magnitude + offset)
    low, high = (node(end.reshape(1, *node.shape)).flatten() for end in (ends.low - doubt, ends.high + doubt))
    return outward(low, high, 8 * UNIT * (torch.maximum(low.abs(), high.abs()) + offset))


def quantiser_lines(node: Quantise, before: Ends, after: Ends) -> Lines:
    """The lines of the clamp, of slope 0, 1 or its secant, half a step further out; or the interval of the value.

    ``|q(z) − clamp(z)| ≤ scale / 2``. Of each pair the line that is nearer at the middle of the interval.
    """
    low, high = before
    floor, ceiling, half = (_flat(node, value) for value in (node.low, node.high, node.scale / 2))
    points = torch.stack([low, floor.maximum(low).minimum(high), ceiling.maximum(low).minimum(high), high])
    values = torch.clamp(points, floor, ceiling)
    middle, width = low / 2 + high / 2, high - low
    secant = torch.where(width > 0, (values[-1] - values[0]) / width, 0.0).clamp(min=0.0, max=1.0)
    doubt = half * (1 + 4 * UNIT) + 16 * UNIT * (points.abs() + values.abs()).amax(dim=0)
    lines: list[Tensor] = []
    for sign, end in ((-1.0, after.low), (1.0, after.high)):
        slopes = torch.stack([torch.zeros_like(low), torch.zeros_like(low), torch.ones_like(low), secant])
        away = [(sign * (values - slope * points)).amax(dim=0) + doubt for slope in slopes[1:]]
        cuts = sign * torch.stack([sign * end, *away])
        best = (sign * (slopes * middle + cuts)).argmin(dim=0, keepdim=True)
        lines += [slopes.gather(0, best)[0], cuts.gather(0, best)[0]]
    return Lines(*lines)


def _flat(node: Quantise, value: Tensor) -> Tensor:
    return torch.broadcast_to(value, node.shape).reshape(-1).double()
