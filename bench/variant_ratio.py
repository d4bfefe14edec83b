"""Two changes beside each other, by the distances of both networks from the reference: no yardsticks are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.metrics.base import metrics
from bench.results import Cell, RatioFigures
from bench.stats.interval import NO_INTERVAL, RESOLUTION
from bench.stats.ratio import NAMES, Ratio, paired_ratio, ratio_vectors
from bench.stats.resampling import Resamples
from bench.stats.tail import is_tail
from bench.stats.yardstick import Power
from bench.store.samples import CellSamples, RunSamples, ValueSamples

DISTANCES = ("count", "distance")
NO_TAIL = "no interval of a ratio of tails is known to cover"
MUST_EQUAL = {
    "data": "the evaluation data", "reference": "the reference network", "version": "the metric's version",
    "n": "the number of samples",
}  # fmt: skip


class Side(NamedTuple):
    """One of two changes: what reasons call it, its cell, and the per-sample arrays that were kept of it."""

    name: str
    cell: Cell
    samples: CellSamples | None

    def distances(self, value: str) -> ValueSamples | None:
        """The distances (n,) whose mean is the change; None where they were not kept."""
        kept = None if self.samples is None else self.samples.values.get(value)
        return kept if kept is not None and kept.form in DISTANCES else None


class _Pair(NamedTuple):
    """Two changes that can be compared, with their distances."""

    value: str
    first: Side
    second: Side
    distances: tuple[NDArray[Any], NDArray[Any]]
    counted: bool
    power: Power

    @property
    def floor(self) -> float:
        """Mean distance that arithmetic alone brings about, the larger of both."""
        return max(side.cell.values[self.value].numerical_floor or 0.0 for side in (self.first, self.second))

    @property
    def resolution(self) -> float:
        """How far from 1 arithmetic alone can move the ratio: each root of a change moves by the floor's at most."""
        least = min(float(np.mean(item)) for item in self.distances)
        return max(RESOLUTION, 2 * (self.floor / least) ** (1 / self.power)) if least > 0 else RESOLUTION

    def ratio(self, resamples: Resamples | None = None) -> Ratio:
        """The ratio with its interval; none of tails, and where one of both changes has none."""
        size = self.distances[0].size
        if not size:
            return Ratio(None, NO_INTERVAL, "no sample counts")
        names = self.first.name, self.second.name
        ratio = paired_ratio(
            *self.distances, resamples or Resamples(size),
            power=self.power, count=self.counted, floor=self.floor, names=names,
        )  # fmt: skip
        if not self.counted and any(map(is_tail, self.distances)):
            return Ratio(ratio.estimate, NO_INTERVAL, NO_TAIL)
        for side in (self.first, self.second):
            if side.cell.values[self.value].ci is None:
                what = f"of {side.name} the change has no interval at this many samples"
                return Ratio(ratio.estimate, NO_INTERVAL, what)
        return ratio


def ratio_of_cells(first: Cell, second: Cell, samples: RunSamples, value: str = "") -> Ratio:
    """(Δ_first / Δ_second)^(1/p) of a change, with its paired interval over the samples that both share.

    Args:
        first: A cell of a run.
        second: Another one of the same metric, parameters and samples.
        samples: The run's per-sample arrays.
        value: The change; by default the metric's headline.

    Raises:
        UserError: the cells cannot be compared, or their distances were not kept.
    """
    where = f"{first.label} beside {second.label}"
    if (first.metric, first.params, first.n) != (second.metric, second.params, second.n):
        raise UserError.at(where, "they are not of one metric on the same samples", "name two cells of one metric")
    sides = Side(NAMES[0], first, _kept(first, samples)), Side(NAMES[1], second, _kept(second, samples))
    name = value or _headline(sides[0])
    for side in sides:
        if side.distances(name) is None:
            raise _not_kept(side, name, where)
    pair = _paired(name, *sides)
    if isinstance(pair, str):
        raise UserError.at(where, pair, "compare variants of one reference")
    return pair.ratio()


def ratio_figures(value: str, first: Side, second: Side, resamples: Resamples | None = None) -> RatioFigures:
    """The ratio as it stands in results; null with the reason where the two cannot be compared.

    Args:
        value: A change.
        first: The dividend.
        second: The divisor.
        resamples: Of as many samples, which know the means of ``vectors_of``; by default drawn here.
    """
    pair = _paired(value, first, second)
    if isinstance(pair, str):
        return RatioFigures(value=value, reason=pair)
    ratio = pair.ratio(resamples)
    low, high, method = ratio.interval
    known = method != "none"
    resolution = None if ratio.estimate is None else pair.resolution
    return RatioFigures(
        value=value,
        power=pair.power,
        n=pair.distances[0].size,
        ratio=ratio.estimate,
        ci=(low, high) if known else None,
        interval=method,
        resolution=resolution,
        told_apart=_told_apart((low, high), resolution or RESOLUTION) if known else None,
        reason=ratio.reason,
    )


def vectors_of(value: str, pairs: Iterable[tuple[Side, Side]]) -> list[NDArray[Any]]:
    """What ``Resamples.ahead`` has to know, so that all these ratios take one pass."""
    paired = [_paired(value, *sides) for sides in pairs]
    return [ratio_vectors(*pair.distances) for pair in paired if isinstance(pair, _Pair) and not pair.counted]


def _paired(value: str, first: Side, second: Side) -> _Pair | str:
    """Two changes that can be compared, or why they cannot."""
    for side in (first, second):
        if side.samples is None or side.distances(value) is None or value not in side.cell.values:
            return f"the distances of {side.name} were not kept"
    assert first.samples is not None
    assert second.samples is not None
    one, other = first.samples.values[value], second.samples.values[value]
    if others := other_values(first.samples, second.samples, MUST_EQUAL):
        return others
    if (one.form, one.power) != (other.form, other.power):
        return "the change is defined in another way"
    rows = [item.variant.get("rows") for item in (one, other)]
    if one.variant["x"].shape != other.variant["x"].shape or not _equal(*rows):
        return "other samples count"
    return _Pair(value, first, second, (one.variant["x"], other.variant["x"]), one.form == "count", one.power)


def other_values(first: CellSamples, second: CellSamples, must_equal: Mapping[str, str]) -> str:
    """What two measurements do not share, in words; empty where they share all of it.

    Args:
        first: one.
        second: the other.
        must_equal: what of their identities, each with its words.
    """
    identities = first.identity, second.identity
    others = [
        word for key, word in must_equal.items() if (identities[0].get(key) or "") != (identities[1].get(key) or "")
    ]
    return f"another value of {', '.join(others)}" if others else ""


def _equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Whether the same samples count; None: all of them."""
    return one is other if one is None or other is None else np.array_equal(one, other)


def _told_apart(ends: tuple[float | None, float | None], resolution: float) -> bool:
    """Whether an interval lies on one side of 1, by more than arithmetic can do.

    >>> _told_apart((1.2, 1.9), 1e-6), _told_apart((0.9, None), 1e-6), _told_apart((1.001, 1.002), 0.01)
    (True, False, False)
    """
    low, high = ends
    return (low is not None and low > 1 + resolution) or (high is not None and high < 1 / (1 + resolution))


def _kept(cell: Cell, samples: RunSamples) -> CellSamples | None:
    return samples.cells.get(cell.id.path)


def _headline(side: Side) -> str:
    """The metric's headline; of one that is not registered here the one change that was kept."""
    if side.cell.metric in metrics.names():
        return metrics.get(side.cell.metric).headline or ""
    kept = kept_changes(side.samples)
    return kept[0] if len(kept) == 1 else ""


def kept_changes(*kept: CellSamples | None) -> list[str]:
    """The changes whose distances any of these cells kept, in order."""
    values = {name: item.form for cell in kept if cell is not None for name, item in cell.values.items()}
    return [name for name, form in values.items() if form in DISTANCES]


def _not_kept(side: Side, name: str, where: str) -> UserError:
    known = kept_changes(side.samples)
    advice = f"kept are {', '.join(known)}" if known else "gate the value in the suite, and measure it again"
    return UserError.at(where, f"no distances of {name or 'a change'!r} were kept of {side.cell.label}", advice)
