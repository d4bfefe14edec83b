"""Lines below and above an activation on an interval."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.canonical_form.nodes import Activation
from bench.functional.lipschitz.chain_bounds.rounding import UNIT
from bench.functional.lipschitz.relaxations.activation_ranges import range_on, value_and_slack
from bench.functional.lipschitz.relaxations.activation_slopes import pieces_of, slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends

PARTS = 12  # of an interval, on each of which slopes are taken


class Lines(NamedTuple):
    """``slope_below z + cut_below ≤ φ(z) ≤ slope_above z + cut_above`` for z between the ends, (size,) each."""

    slope_below: Tensor
    cut_below: Tensor
    slope_above: Tensor
    cut_above: Tensor


def lines_on(node: Activation, ends: Ends) -> Lines:
    """The lines with the smallest area to the function, of the slopes at either end of their range and the secant's.

    A line of any slope s is moved until it touches ``φ(z) − s z``: at a corner where φ is piecewise linear, else up to
    what slopes on each twelfth of the interval allow. Of a ReLU that is the triangle of CROWN (arXiv 1811.00866).

    >>> relu = Activation(name="a", inputs=(0,), shape=(1, 1), function="relu")
    >>> lines = lines_on(relu, Ends(torch.tensor([-1.0]).double(), torch.tensor([3.0]).double()))
    >>> [round(float(number), 9) for number in lines]
    [1.0, 0.0, 0.75, 0.75]
    """
    found = range_on(node, ends)
    flat = torch.zeros_like(ends.low)
    points, beyond = _points(node, ends)
    value, doubt = value_and_slack(node, points)
    slopes, middle = slopes_on(node, ends), (ends.low + ends.high) / 2
    width = ends.high - ends.low
    secant = torch.where(width > 0, (value[-1] - value[0]) / width, slopes.alpha)
    below: list[tuple[Tensor, Tensor]] = []
    above: list[tuple[Tensor, Tensor]] = []
    for slope in (slopes.alpha, slopes.beta, secant.clamp(min=slopes.alpha, max=slopes.beta)):
        rest = value - slope * points
        slack = (doubt + 4 * UNIT * ((slope * points).abs() + value.abs())).amax(dim=0)
        if node.function == "relu":
            slack = torch.where((slope == 0) | (slope == 1), 0.0, slack)  # nothing is rounded
        away = _beyond(node, points, beyond, slope)
        below.append((slope, rest.amin(dim=0) - away - slack))
        above.append((slope, rest.amax(dim=0) + away + slack))
    low, high = _best(below, middle, -1), _best(above, middle, 1)
    known = low[1].isfinite() & high[1].isfinite() & low[0].isfinite() & high[0].isfinite()
    return Lines(
        torch.where(known, low[0], flat), torch.where(known, low[1], found.low),
        torch.where(known, high[0], flat), torch.where(known, high[1], found.high),
    )  # fmt: skip


def _points(node: Activation, ends: Ends) -> tuple[Tensor, bool]:
    """Points of each interval, (p, size), its ends among them, and whether φ is linear between them."""
    pieces = pieces_of(node)
    if pieces is not None:
        inner = [ends.low.clamp(min=at).minimum(ends.high) for at in pieces.breaks]
        return torch.stack([ends.low, *inner, ends.high]), True
    share = torch.linspace(0, 1, PARTS + 1, dtype=torch.float64)[:, None]
    points = ends.low + share * (ends.high - ends.low)
    points[-1] = ends.high
    return points.clamp(min=ends.low, max=ends.high), False


def _beyond(node: Activation, points: Tensor, linear: bool, slope: Tensor) -> Tensor:
    """How far ``φ(z) − s z`` may lie beyond its values at the points, (size,)."""
    if linear:
        return torch.zeros_like(slope)
    parts = slopes_on(node, Ends(points[:-1], points[1:]))
    up, down = (parts.beta - slope).clamp(min=0), (slope - parts.alpha).clamp(min=0)
    steep = (up + down).clamp(min=1e-300)
    return (up * down / steep * (points[1:] - points[:-1])).amax(dim=0) * (1 + 1e-12)


def _best(lines: list[tuple[Tensor, Tensor]], middle: Tensor, sign: int) -> tuple[Tensor, Tensor]:
    """The line nearest to the function at the middle: the area between is that height times the width."""
    heights = torch.stack([sign * (slope * middle + cut) for slope, cut in lines])
    first = torch.nan_to_num(heights, nan=torch.inf).argmin(dim=0, keepdim=True)
    slopes, cuts = (torch.stack([line[k] for line in lines]).gather(0, first)[0] for k in (0, 1))
    return slopes, cuts
