"""Variants of a run beside each other by each metric's headline change: neighbours, and by a family's headline all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.cell_id import canonical_parameters
from bench.engine.inline import InlineEngine, Measured
from bench.families import FAMILIES
from bench.results import RatioFigures, VariantRatio
from bench.stats.resampling import Resamples
from bench.store.samples import RunSamples
from bench.suite.plan import STATISTICS_VERSION, PlannedCell
from bench.variant_ratio import Side, ratio_figures, vectors_of

OVER_REPLICATES = "told replicate by replicate: of several replicates together no ratio is known to cover"
Group = list[tuple[PlannedCell, Measured]]


def variant_ratios(
    engine: InlineEngine, cells: Sequence[tuple[PlannedCell, Measured]], samples: RunSamples
) -> list[VariantRatio]:
    """The ratios of neighbours: at most two for each variant but the nearest, on each target and metric.

    By a metric that stands for its family each variant stands beside every other one.

    They are stored under the keys of the cells, and derived anew where one of those is.
    """
    groups: dict[tuple[str, str, str, int | None], Group] = defaultdict(list)
    for planned, measured in cells:
        cell, name = measured.cell, planned.use.metric.headline
        if cell.status == "ok" and name in cell.values and cell.values[name].estimate is not None:
            key = cell.target, cell.metric, canonical_parameters(cell.params), cell.replicate
            groups[key].append((planned, measured))
    return [ratio for group in groups.values() for ratio in _of_group(engine, group, samples)]


class Neighbours(NamedTuple):
    """Two positions in a sequence of changes, the larger first."""

    first: int
    second: int
    next_nearer: bool
    nearest: bool


def neighbours(changes: Sequence[float], *, every: bool = False) -> list[Neighbours]:
    """Each change beside the next smaller one and beside the smallest; ``every``: beside each smaller one.

    >>> [(pair.first, pair.second) for pair in neighbours([0.3, 0.1, 0.2])]
    [(2, 1), (0, 2), (0, 1)]
    >>> len(neighbours([0.3, 0.1, 0.2, 0.4])), len(neighbours([0.3, 0.1, 0.2, 0.4], every=True))
    (5, 6)
    """
    order = sorted(range(len(changes)), key=lambda index: changes[index])
    pairs = []
    for rank in range(1, len(order)):
        for other in range(rank - 1, -1, -1) if every else dict.fromkeys((rank - 1, 0)):
            pairs.append(Neighbours(order[rank], order[other], other == rank - 1, other == 0))
    return pairs


def _of_group(engine: InlineEngine, group: Group, samples: RunSamples) -> list[VariantRatio]:
    """The ratios of one target, metric and replicate."""
    value = group[0][0].use.metric.headline
    assert value is not None
    cells = [measured.cell for _, measured in group]
    family = FAMILIES.get(cells[0].family)
    every = family is not None and cells[0].metric in family.headlines and cells[0].replicate is not None
    pairs = neighbours([cell.values[value].estimate or 0.0 for cell in cells], every=every)
    if not pairs:
        return []
    if cells[0].replicate is None:
        figures = [RatioFigures(value=value, reason=OVER_REPLICATES) for _ in pairs]
    else:
        figures = _figures(engine, group, pairs, value, samples)
    return [
        VariantRatio(
            **dict(ratio),
            first=cells[pair.first].variant,
            second=cells[pair.second].variant,
            target=cells[0].target,
            metric=cells[0].metric,
            params=cells[0].params,
            family=cells[0].family,
            replicate=cells[0].replicate,
            next_nearer=pair.next_nearer,
            nearest=pair.nearest,
        )
        for pair, ratio in zip(pairs, figures, strict=True)
    ]


def _figures(
    engine: InlineEngine, group: Group, neighbouring: Sequence[Neighbours], value: str, samples: RunSamples
) -> list[RatioFigures]:
    """The figures of each pair; stored where all distances are known."""
    measured_cells = [measured for _, measured in group]
    cells = [measured.cell for measured in measured_cells]
    sides = [Side(cell.variant, cell, samples.cells.get(cell.id.path)) for cell in cells]
    pairs = [(sides[pair.first], sides[pair.second]) for pair in neighbouring]

    def derive() -> dict[str, Any]:
        resamples = Resamples(size, engine.derivation.draws).ahead(vectors_of(value, pairs)) if size else None
        return {"ratios": [ratio_figures(value, *pair, resamples).model_dump(mode="json") for pair in pairs]}

    def read(content: dict[str, Any]) -> list[RatioFigures]:
        return [RatioFigures.model_validate(item) for item in content["ratios"]]

    kept = [side.distances(value) for side in sides]
    size = next((item.variant["x"].size for item in kept if item is not None), 0)
    if None in kept:  # lost: a later run may have them again
        return read(derive())
    named = [[planned.variant, planned.key] for planned, _ in group]  # reasons name the variants
    every = [[pair.first, pair.second] for pair in neighbouring]
    parts = {"statistics": STATISTICS_VERSION, "ratios": named, "pairs": every}
    figures, _ = engine.across("families", parts, measured_cells, derive, read)
    return figures
