"""A whole run: suite in, results out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bench.data.base import Dataset
from bench.engine.cautions import cautions
from bench.engine.common_starts import add_common_starts
from bench.engine.declared import warnings
from bench.engine.equivalents import equivalents_of
from bench.engine.exemplars import exemplars_of
from bench.engine.families import family_result
from bench.engine.inline import InlineEngine, Measured
from bench.engine.landscape import landscapes_of
from bench.engine.marks import adjust
from bench.engine.over_networks import OverNetworks, chosen
from bench.engine.planning import PlannedSuite
from bench.engine.provenance import provenance
from bench.engine.ranks import ranks_of
from bench.engine.reading import readings
from bench.engine.replicates import recipe_cells
from bench.engine.samples import collect
from bench.engine.series import series_of
from bench.engine.stages import stage_results
from bench.engine.transfer import transfer_of
from bench.engine.variant_ratios import variant_ratios
from bench.errors import UserError
from bench.results import (
    Artefact,
    Cell,
    CellRecord,
    DataInfo,
    ReferenceResult,
    Results,
    StepUse,
    SuiteInfo,
    VariantResult,
)
from bench.store.keys import key_of
from bench.store.samples import RunSamples
from bench.suite.equivalents import equivalents
from bench.suite.landscapes import landscapes
from bench.suite.plan import Plan, PlannedCell
from bench.suite.populations import populations
from bench.suite.selection import matches, unused
from bench.suite.transfers import transfers


class Measurement(NamedTuple):
    """The results of a run, and the per-sample arrays of what is gated: what a baseline is made of."""

    results: Results
    samples: RunSamples


@dataclass(frozen=True)
class Progress:
    """Callbacks that a caller may give to show what happens while it runs."""

    total: Callable[[int], None] = lambda cells: None
    cell: Callable[[Cell], None] = lambda cell: None
    message: Callable[[str], None] = lambda message: None


def select(cells: Iterable[PlannedCell], only: str | None = None, shard: tuple[int, int] = (1, 1)) -> list[PlannedCell]:
    """The cells that match ``only``, of the i-th of n parts.

    Raises:
        UserError: no cell matches.
    """
    index, count = shard
    chosen = [cell for cell in cells if int(cell.key[:12], 16) % count == index - 1]
    if only is None:
        return chosen
    kept = [cell for cell in chosen if matches(cell.label, only)]
    if not kept:
        example = chosen[0].label if chosen else "(the plan is empty)"
        raise UserError.at("only", f"no cell matches {only!r}", f"match a variant or a cell such as {example}")
    return kept


def run_plan(
    planned: PlannedSuite,
    engine: InlineEngine,
    only: str | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> Measurement:
    """Measure what is missing of the chosen cells, and assemble all of them; no gate is judged yet."""
    progress, started = progress or Progress(), datetime.now(UTC)
    plan, dataset = planned.plan, planned.dataset
    cells = select(plan.cells, only, shard)
    progress.total(len(cells))
    if engine.rerun not in ("never", "failed"):
        engine.preflight([cell for cell in cells if engine.cached(cell) is None])
    spaces = chosen(landscapes(planned.planner, plan), only, shard)
    exemplars = chosen(populations(planned.planner, plan), only, shard)
    matrices = chosen(transfers(planned.planner, plan), only, shard)
    worths = chosen(equivalents(planned.planner, plan), only, shard)
    over_networks: tuple[OverNetworks, ...] = (*exemplars, *matrices, *worths)
    engine.observations.expect(item for whole in over_networks for item in whole.every())
    measured: list[tuple[PlannedCell, Measured]] = []
    for cell in cells:
        measured_cell = engine.measure(cell)
        measured.append((cell, measured_cell))
        progress.cell(measured_cell.cell)
    if plan.suite.replicates > 1:
        measured += recipe_cells(engine, measured)
    adjust(engine, measured)
    add_common_starts(engine, measured)
    results = assemble(plan, dataset, engine, measured)
    stages = stage_results(engine, planned.planner, plan, measured)
    for variant in results.variants:
        variant.stages = stages.get((variant.name, variant.target, variant.replicate), [])
    here = provenance(seed=plan.suite.seed, device=planned.device, started=started, targets=plan.suite.targets)
    here.rerun = engine.rerun
    here.warnings = [
        *readings(results.cells),
        *cautions(measured),
        *warnings(planned.planner, dataset, engine, cells),
        *unused([cell.label for cell in plan.cells], plan.suite.not_applicable),
    ]
    held = {cell.label for cell in cells}
    results.left_out = [_left_out(cell) for cell in plan.cells if cell.use.gates and cell.label not in held]
    here.reused = sum(measured_cell.cell.cached for _, measured_cell in measured)
    results.run = here
    samples = collect(plan, dataset, engine, measured)
    results.variant_ratios = variant_ratios(engine, measured, samples)
    results.ranks = ranks_of(engine, measured)
    results.series = series_of(plan.suite, results.cells)
    results.landscape = landscapes_of(engine, spaces)
    results.exemplars = exemplars_of(engine, exemplars)
    results.transfer = transfer_of(engine, matrices)
    results.equivalents = equivalents_of(engine, worths)
    if only is None and shard == (1, 1):
        engine.store.set_roots(plan.suite.name, _roots(engine, measured))
    return Measurement(results, samples)


def _left_out(cell: PlannedCell) -> CellRecord:
    """The record of a cell that the run does not hold."""
    metric = cell.use.metric
    names = {"variant": cell.variant, "target": cell.target.name, "metric": metric.name, "label": cell.label}
    return CellRecord(**names, params=metric.parameters(), replicate=cell.replicate)


def _roots(engine: InlineEngine, measured: list[tuple[PlannedCell, Measured]]) -> set[str]:
    keys = set(engine.used)
    for cell, _ in measured:
        keys |= engine.keys(cell)
    return keys


def suite_fingerprint(plan: Plan, dataset: Dataset) -> str:
    """The fingerprint by which two runs are comparable: data, reference, yardsticks and metrics; not the variants."""
    suite = plan.suite
    return key_of(
        {
            "data": dataset.fingerprint,
            "reference": [node.key for node in plan.references],
            "yardsticks": [node.key for node in plan.yardsticks],
            "metrics": [
                [use.metric.name, use.metric.version, use.metric.samples, use.metric.parameters()]
                for use in suite.metrics
            ],
        }
    )


def assemble(
    plan: Plan, dataset: Dataset, engine: InlineEngine, measured: list[tuple[PlannedCell, Measured]]
) -> Results:
    """Families and variants over the cells of a run; gates are judged above."""
    suite = plan.suite
    groups: dict[tuple[str, str, int | None], list[tuple[PlannedCell, Measured]]] = defaultdict(list)
    for planned, measured_cell in measured:
        groups[planned.variant, planned.target.name, measured_cell.cell.replicate].append((planned, measured_cell))
    variants = [_variant(plan, engine, key, group) for key, group in groups.items()]
    cells = [measured_cell.cell for _, measured_cell in measured]
    return Results(
        suite=SuiteInfo(
            name=suite.name,
            fingerprint=suite_fingerprint(plan, dataset),
            data=DataInfo(
                name=dataset.name,
                fingerprint=dataset.fingerprint,
                train=len(dataset.train),
                calibration=len(dataset.calibration),
                evaluation=len(dataset.evaluation),
                input=dataset.input.canonical(),
            ),
        ),
        reference=ReferenceResult(
            description=plan.references[0].parts,
            key=plan.references[0].key,
            yardsticks=len(plan.yardsticks),
            yardstick_kind=suite.yardstick.kind if plan.yardsticks else "none",
        ),
        variants=variants,
        cells=cells,
    )


def _variant(
    plan: Plan, engine: InlineEngine, key: tuple[str, str, int | None], group: list[tuple[PlannedCell, Measured]]
) -> VariantResult:
    name, target, replicate = key
    node = plan.variants[name, replicate or 0]
    record = engine.record(node, any(measured.cell.status == "ok" for _, measured in group))
    families: dict[str, Any] = {}
    for family in dict.fromkeys(planned.use.metric.family for planned, _ in group):
        if family != "cost":
            members = [item for item in group if item[0].use.metric.family == family]
            families[family] = family_result(engine, family, members)
    cost = {
        value_name: value.variant
        for _, measured in group
        if measured.cell.family == "cost"
        for value_name, value in measured.cell.values.items()
    }
    return VariantResult(
        name=name,
        target=target,
        replicate=replicate,
        steps=[
            StepUse.model_validate(step.canonical())
            for variant in plan.suite.variants
            if variant.name == name
            for step in variant.steps
        ],
        artefact=Artefact.model_validate({"kind": node.kind, "key": node.key, "record": record or None}),
        cost=cost,
        families=families,
    )
