"""What variants are ranked by: each sample's contribution to a change or a harm, or the harm in each resample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bench.engine.arrays import NetworkArrays
from bench.engine.derive import DRAWS, Derivation
from bench.engine.evidence import rows_of, sample_distances
from bench.engine.inline import InlineEngine, Measured
from bench.metrics.error_statistic import ErrorStatistic
from bench.metrics.values import Change, Float, Mean, Proportion, Quality, Statistic, has_interval
from bench.results import ValueResult
from bench.stats.harm import harms
from bench.suite.plan import Draw, PlannedCell

FIRST = 2_000  # of the shared resamples: a spread to 1.6 %, and a fifth of the time where cells came from the store
Ranked: TypeAlias = Change | Quality
Method = Literal["means", "counts", "draws"]


class Contributions(NamedTuple):
    """Of one variant: one number a sample, (n,), or of a figure that is no mean its harm in each resample, (B,)."""

    numbers: Float
    samples: bytes = b""  # which samples count; empty: all


@dataclass(frozen=True, eq=False)
class Standing:
    """One cell among those that are ranked."""

    engine: InlineEngine
    planned: PlannedCell
    measured: Measured

    @cached_property
    def networks(self) -> tuple[list[NetworkArrays], list[NetworkArrays]] | None:
        """The answers of the reference and of the variant, draw by draw; None where they are no longer stored."""
        roles = (self.planned.reference, self.planned.observed)
        if any(self.engine.observations.known(item) is None for role in roles for draw in role for item in draw):
            return None
        reference = [self._arrays(draw) for draw in self.planned.reference]
        return reference, [self._arrays(draw, reference[0]) for draw in self.planned.observed]

    def _arrays(self, draw: Draw, reference: NetworkArrays | None = None) -> NetworkArrays:
        observations = self.engine.observations
        answers = [(item.probe, observed) for item in draw if (observed := observations.known(item)) is not None]
        samples, sets = observations.samples(self.planned.count), observations.dataset.sets
        return NetworkArrays(self.planned.use.metric, answers, samples, self.engine.memo, reference, sets)

    def contributions(self, value: Ranked) -> Contributions | None:
        """Each sample's contribution to a mean; None where its answers are no longer stored."""
        if self.networks is None:
            return None
        reference, variant = self.networks
        if isinstance(value, Change):
            rows = rows_of(value, reference[0])
            return Contributions(sample_distances(value, reference, variant), b"" if rows is None else rows.tobytes())
        assert isinstance(value, Mean | Proportion)
        own, other = (value.per_sample(draws[0]) for draws in self.networks)
        return Contributions(harms(own, other, better=value.better))

    def draws(self, value: Ranked) -> Float | None:
        """The harm in the resamples, as the cell was derived with it in this run; else None."""
        derived = self.measured.derived.get(value.name)
        return None if derived is None or derived.draws is None else derived.draws()[: resamples_for(value)]


def evidence_of(value: Ranked, standings: Sequence[Standing]) -> list[Contributions | None]:
    """What each cell is ranked by; None where its answers are no longer stored."""
    if method_of(value) != "draws" or isinstance(value, Change):
        return [standing.contributions(value) for standing in standings]
    known = [standing.draws(value) for standing in standings]
    missing = [standing for standing, draws in zip(standings, known, strict=True) if draws is None]
    pairs = [(both[0][0], both[1][0]) for standing in missing if (both := standing.networks) is not None]
    size = max((standing.measured.cell.n for standing in standings), default=1)
    made = iter(Derivation(resamples_for(value)).harm_draws(value, pairs, size))
    out: list[Contributions | None] = []
    for standing, draws in zip(standings, known, strict=True):
        drawn = draws if draws is not None else None if standing.networks is None else next(made)
        out.append(None if drawn is None else Contributions(drawn))
    return out


def ranked_values(planned: PlannedCell) -> list[Ranked]:
    """The headline change of a metric, and every harm of which an interval may be known."""
    metric = planned.use.metric
    return [
        value
        for value in metric.values
        if (isinstance(value, Change) and value.name == metric.headline)
        or (isinstance(value, Quality) and value.better != "none" and has_interval(value))
    ]


def method_of(value: Ranked) -> Method:
    """How differences of a value are judged.

    >>> method_of(Proportion("accuracy", of="correct", better="higher")), method_of(Mean("nll", of="l", better="lower"))
    ('counts', 'means')
    """
    if isinstance(value, Change):
        return "counts" if value.count else "means"
    if isinstance(value, Proportion) and not value.log:
        return "counts"
    return "means" if isinstance(value, Mean) and not value.log else "draws"


def resamples_for(value: Ranked) -> int:
    """How many of the shared resamples are looked at: the first ones, where each is drawn whatever follows.

    A figure of two sets takes the second's from the last one on, and another's own may do as it likes: all of those.

    >>> resamples_for(Mean("nll", of="l", better="lower"))
    2000
    """
    return FIRST if type(value) in (Mean, Proportion, Statistic, ErrorStatistic) else DRAWS


def floor_of(value: Ranked, result: ValueResult) -> float:
    """How far arithmetic alone moves an estimate; of a logarithm relative to the figure."""
    floor = result.numerical_floor or 0.0
    if isinstance(value, Change) or not value.log:
        return floor
    return floor / abs(result.reference) if result.reference else 0.0


def table_of(contributions: Sequence[Contributions]) -> Float:
    """All contributions, one row a cell."""
    return np.stack([item.numbers for item in contributions])
