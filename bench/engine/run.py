"""A whole run: suite in, results out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.data.base import Dataset
from bench.data.downloads import kept_in
from bench.data.splitting import load_dataset
from bench.engine.declared import warnings
from bench.engine.families import family_result
from bench.engine.inline import InlineEngine, Measured, Rerun
from bench.engine.intake import SAMPLES
from bench.engine.marks import adjust
from bench.engine.provenance import machine, provenance
from bench.engine.reading import readings
from bench.engine.replicates import recipe_cells
from bench.engine.samples import collect
from bench.engine.stages import stage_results
from bench.errors import UserError
from bench.models.base import check_recipe
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
from bench.store.store import Store
from bench.suite.nodes import Splits
from bench.suite.plan import Evaluation, Plan, PlannedCell, Planner
from bench.suite.selection import matches, unused
from bench.suite.suite import Suite


@dataclass(frozen=True)
class RunOptions:
    """How a suite is run; none of it changes a value."""

    store: str
    device: str = "cpu"
    only: str | None = None
    rerun: Rerun = "missing"
    shard: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Progress:
    """What a caller may show while it runs."""

    total: Callable[[int], None] = lambda cells: None
    cell: Callable[[Cell], None] = lambda cell: None
    message: Callable[[str], None] = lambda message: None


def make_plan(suite: Suite, device: str = "cpu", dataset: Dataset | None = None) -> tuple[Plan, Dataset]:
    """Load the data and expand the suite; nothing is measured."""
    dataset = dataset or _load(suite)
    if suite.reference.model is not None:
        suite.reference.model.check(dataset.input)
    if suite.reference.recipe is not None:
        check_recipe(suite.reference.recipe, dataset.input)
    for use in suite.metrics:
        wanted = use.metric.samples
        if wanted is not None and wanted > len(dataset.evaluation):
            raise UserError.at(
                f"metric {use.metric.name}: samples",
                f"{wanted} asked, the evaluation split has {len(dataset.evaluation)}",
                "ask for fewer, or raise data.evaluation",
            )
    return planner(suite, device, dataset).plan(), dataset


def _load(suite: Suite) -> Dataset:
    """The suite's data; calibration samples that nobody asked for and no step demands are taken where there are any."""
    try:
        return load_dataset(suite.loader, suite.evaluation, suite.calibration)
    except UserError:
        if not suite.spare_calibration:
            raise
    return load_dataset(suite.loader, suite.evaluation, 0)


def planner(suite: Suite, device: str, dataset: Dataset) -> Planner:
    """What expands the suite for this data set and machine."""
    intake = dataset.evaluation.take(slice(0, SAMPLES)).fingerprint
    splits = Splits(dataset.train.fingerprint, dataset.calibration.fingerprint, dataset.input.canonical(), intake)
    evaluation = Evaluation.of(dataset.evaluation, dataset.input)
    return Planner(suite, splits, evaluation, machine(suite.targets), device)


def select(cells: Iterable[PlannedCell], options: RunOptions) -> list[PlannedCell]:
    """The cells that --only and --shard leave."""
    index, count = options.shard
    chosen = [cell for cell in cells if int(cell.key[:12], 16) % count == index - 1]
    if options.only is None:
        return chosen
    pattern = options.only
    kept = [cell for cell in chosen if matches(cell.label, pattern)]
    if not kept:
        example = chosen[0].label if chosen else "(the plan is empty)"
        raise UserError.at("--only", f"no cell matches {pattern!r}", f"match a variant or a cell such as {example}")
    return kept


def run_suite(
    suite: Suite,
    options: RunOptions,
    progress: Progress | None = None,
    dataset: Dataset | None = None,
    keep: Callable[[RunSamples], None] | None = None,
) -> Results:
    """Measure what is missing and put the results together; ``keep`` gets the per-sample arrays of what is gated."""
    progress = progress or Progress()
    started = datetime.now(UTC)
    with kept_in(options.store):
        plan, dataset = make_plan(suite, options.device, dataset)
    store = Store(options.store, background=True)
    try:
        return _run(plan, dataset, store, options, progress, started, keep)
    finally:
        try:
            store.flush()
        finally:
            store.tell()


def _run(
    plan: Plan,
    dataset: Dataset,
    store: Store,
    options: RunOptions,
    progress: Progress,
    started: datetime,
    keep: Callable[[RunSamples], None] | None,
) -> Results:
    """Measure the chosen cells and assemble them."""
    engine = InlineEngine(plan, dataset, store, device=options.device, rerun=options.rerun, progress=progress.message)
    cells = select(plan.cells, options)
    progress.total(len(cells))
    if options.rerun not in ("never", "failed"):
        engine.preflight([cell for cell in cells if engine.cached(cell) is None])
    measured: list[tuple[PlannedCell, Measured]] = []
    for cell in cells:
        found = engine.measure(cell)
        measured.append((cell, found))
        progress.cell(found.cell)
    if plan.suite.replicates > 1:
        measured += recipe_cells(engine, measured)
    adjust(engine, measured)
    results = assemble(plan, dataset, engine, measured)
    expand = planner(plan.suite, options.device, dataset)
    stages = stage_results(engine, expand, plan, measured)
    for variant in results.variants:
        variant.stages = stages.get((variant.name, variant.target, variant.replicate), [])
    if keep is not None:
        keep(collect(plan, dataset, engine, measured))
    here = provenance(seed=plan.suite.seed, device=options.device, started=started, targets=plan.suite.targets)
    here.rerun = options.rerun
    here.warnings = [
        *readings(results.cells),
        *warnings(expand, dataset, engine, cells),
        *unused([cell.label for cell in plan.cells], plan.suite.not_applicable),
    ]
    held = {cell.label for cell in cells}
    results.left_out = [_left_out(cell) for cell in plan.cells if cell.use.gates and cell.label not in held]
    here.reused = sum(found.cell.cached for _, found in measured)
    results.run = here
    if options.only is None and options.shard == (1, 1):
        store.set_roots(plan.suite.name, _roots(engine, measured))
    return results


def _left_out(cell: PlannedCell) -> CellRecord:
    """Which cell the run does not hold."""
    metric = cell.use.metric
    names = {"variant": cell.variant, "target": cell.target.name, "metric": metric.name, "label": cell.label}
    return CellRecord(**names, params=metric.parameters(), replicate=cell.replicate)


def _roots(engine: InlineEngine, measured: list[tuple[PlannedCell, Measured]]) -> set[str]:
    keys = set(engine.used)
    for cell, _ in measured:
        keys |= engine.keys(cell)
    return keys


def suite_fingerprint(plan: Plan, dataset: Dataset) -> str:
    """What makes two runs comparable: data, reference, yardsticks and metrics; not the variants."""
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
    for planned, found in measured:
        groups[planned.variant, planned.target.name, found.cell.replicate].append((planned, found))
    variants = [_variant(plan, engine, place, group) for place, group in groups.items()]
    cells = [found.cell for _, found in measured]
    kind = "weight-noise" if suite.yardstick.noisy else "retrained"
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
            yardstick_kind="none" if not plan.yardsticks else kind,
        ),
        variants=variants,
        cells=cells,
    )


def _variant(
    plan: Plan, engine: InlineEngine, place: tuple[str, str, int | None], group: list[tuple[PlannedCell, Measured]]
) -> VariantResult:
    name, target, replicate = place
    node = plan.variants[name, replicate or 0]
    record = engine.record(node, any(found.cell.status == "ok" for _, found in group))
    families: dict[str, Any] = {}
    for family in dict.fromkeys(planned.use.metric.family for planned, _ in group):
        if family != "cost":
            members = [item for item in group if item[0].use.metric.family == family]
            families[family] = family_result(engine, family, members)
    cost = {
        value_name: value.variant
        for _, found in group
        if found.cell.family == "cost"
        for value_name, value in found.cell.values.items()
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
