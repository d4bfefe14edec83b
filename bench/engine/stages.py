"""The stage waterfall: what each step, the export and the runtime add to a variant's distance from the reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from bench.engine.arrays import NetworkArrays
from bench.engine.evidence import Evidence
from bench.engine.failures import ObservationFailure, in_words
from bench.engine.inline import InlineEngine, Measured
from bench.engine.networks import NetworkFailure, one_line
from bench.engine.stage_values import stage_resamples, stage_value
from bench.interrupts import contained
from bench.metrics.base import Metric
from bench.metrics.values import Change
from bench.results import StageMetric, StageResult, StageValue, ValueResult
from bench.store.keys import key_of
from bench.store.stored import DamagedArrays
from bench.suite.plan import STATISTICS_VERSION, Plan, PlannedCell
from bench.suite.planner import Planner
from bench.suite.stages import BY_THE_TARGET, Stage, networks_of, observations_of, stage_cells, staged

VariantKey: TypeAlias = tuple[str, str, int | None]  # variant, target, replicate
WATERFALL_VERSION = 2  # rises when the same observations give other stages
THE_REFERENCE = "the reference itself"


@dataclass(frozen=True, eq=False)
class StageArrays:
    """The arrays of a stage for a metric, or why there are none."""

    arrays: Sequence[NetworkArrays] = ()
    status: str = "ok"
    reason: str = ""


def stage_results(
    engine: InlineEngine, planner: Planner, plan: Plan, measured: Iterable[tuple[PlannedCell, Measured]]
) -> dict[VariantKey, list[StageResult]]:
    """The stages behind the cells of every variant that asks for them, by variant, target and replicate."""
    wanted = staged(plan)
    by_variant: dict[VariantKey, list[StageResult]] = {}
    for planned, own in measured:
        if planned.variant not in wanted or own.cell.replicate is None:
            continue
        stages, cells = stage_cells(planner, plan, planned)
        key = (planned.variant, planned.target.name, planned.replicate)
        results = by_variant.setdefault(key, [_stage(stage) for stage in stages])
        for result, metric in zip(results, _measure(engine, stages, cells), strict=True):
            result.metrics.append(metric)
    return by_variant


def _stage(stage: Stage) -> StageResult:
    step = None if stage.network.step is None or stage.name in BY_THE_TARGET else stage.network.step.canonical()
    network = {"kind": stage.network.kind, "key": stage.network.key}
    return StageResult(name=stage.name, step=step, network=network, target=_target(stage))


def _target(stage: Stage) -> dict[str, Any]:
    """The target of a stage; of a network with 8-bit products, how they are summed there."""
    target = {"name": stage.target.name, **stage.target.canonical()}
    quantised = stage.network.kind.endswith("-quantised") and stage.target.runtime != "torch"
    return {**target, "integer_sums": stage.target.integer_sums} if quantised else target


def _parts(cells: Sequence[PlannedCell], stages: Sequence[Stage]) -> dict[str, Any]:
    """The parts of the key of all stages' figures; the names of stages stand in them."""
    first = cells[0]
    return {
        "statistics": STATISTICS_VERSION,
        "waterfall": WATERFALL_VERSION,
        "metric": first.use.metric.name,
        "version": first.use.metric.version,
        "parameters": first.use.metric.parameters(),
        "samples": first.count,
        "reads": first.parts["reads"],
        "names": [stage.name for stage in stages],
        "stages": [[[item.key for item in draw] for draw in cell.observed] for cell in cells],
        "yardsticks": first.parts["yardsticks"],
        "floor": first.parts["floor"],
    }


def _measure(engine: InlineEngine, stages: Sequence[Stage], cells: Sequence[PlannedCell]) -> list[StageMetric]:
    """One metric at every stage: reused from the store, or derived from observations and committed."""
    metric = cells[0].use.metric
    parts = _parts(cells, stages)
    engine.used.add(key_of(parts))
    for item in observations_of(cells):
        engine.used |= {item.key, *(node.key for node in networks_of(item))}
    kept, failed = _kept(engine, parts)
    if kept is not None and not (failed and engine.rerun in ("missing", "failed")):
        return [item.model_copy(update={"cached": True}) for item in kept]
    if engine.rerun == "never" or (engine.rerun == "failed" and not failed):
        return [_blank(metric, "error", f"not measured: --rerun {engine.rerun}") for _ in cells]
    results = engine.observations.with_whole(lambda: _derive(engine, stages, cells))
    status = "error" if any(item.status == "error" for item in results) else "ok"
    content = {"status": status, "stages": [item.model_dump(mode="json") for item in results]}
    engine.store.put("cells", parts, content)
    return results


def _kept(engine: InlineEngine, parts: dict[str, Any]) -> tuple[list[StageMetric] | None, bool]:
    """The stored stages, if there are any, and whether one of them failed."""
    stored = None if engine.rerun == "always" else engine.store.find("cells", parts)
    if stored is None:
        return None, False
    try:
        kept = [StageMetric.model_validate(item) for item in stored.content["stages"]]
        if len(kept) != len(parts["names"]):
            raise ValueError("other stages")
        return kept, stored.content["status"] == "error"
    except (ValueError, LookupError, TypeError):
        engine.store.reject("cells", stored.key, "it holds no stages")
        return None, False


def _blank(metric: Metric, status: Any, reason: str, n: int = 0) -> StageMetric:
    return StageMetric(
        metric=metric.name, params=metric.parameters(), family=metric.family, n=n, status=status, reason=reason
    )


def _derive(engine: InlineEngine, stages: Sequence[Stage], cells: Sequence[PlannedCell]) -> list[StageMetric]:
    """Every stage against the reference and against the last stage that could be measured."""
    metric = cells[0].use.metric
    try:
        with contained():
            start = engine.evidence(cells[0])
    except NetworkFailure as error:
        return [_blank(metric, "error", in_words(error, cells[0])) for _ in cells]
    except DamagedArrays:
        raise
    except Exception as error:
        return [_blank(metric, "error", f"{stages[0].name}: {_words(error)}") for _ in cells]
    if start.skipped:
        reason = f"{stages[0].name}: {start.skipped.partition(': ')[2]}"
        return [_blank(metric, "skipped", reason, start.n) for _ in cells]
    results, last = [_first(engine, metric, start)], (stages[0].name, start.reference)
    for stage, cell in zip(stages[1:], cells[1:], strict=True):
        own = _observe(engine, cell, start.reference[0])
        result = _blank(metric, own.status, own.reason, start.n)
        if own.status == "ok":
            try:
                with contained():
                    resamples = stage_resamples(engine.derivation, metric, start, last[1], own.arrays)
                    for value in metric.values:
                        result.values[value.name] = stage_value(
                            engine.derivation, value, start, last, own.arrays, resamples
                        )
            except DamagedArrays:
                raise
            except Exception as error:
                result = _blank(metric, "error", one_line(error), start.n)
            else:
                last = (stage.name, own.arrays)
        results.append(result)
    _name_largest(metric, results)
    return results


def _observe(engine: InlineEngine, cell: PlannedCell, reference: NetworkArrays) -> StageArrays:
    """The observations of one stage; whatever goes wrong stays in it."""
    try:
        with contained():
            arrays = engine.role("variant", cell, cell.observed, reference)
    except NetworkFailure as error:
        return StageArrays(status="error", reason=in_words(error, cell))
    except DamagedArrays:
        raise
    except Exception as error:
        return StageArrays(status="error", reason=_words(error).removeprefix("variant: "))
    for draw in arrays:
        if draw.refused:
            return StageArrays(status="skipped", reason=draw.refused)
    return StageArrays(arrays)


def _words(error: Exception) -> str:
    """A fault in one line; those that the engine has put into words already stay as they are."""
    return str(error) if isinstance(error, ObservationFailure) else one_line(error)


def _first(engine: InlineEngine, metric: Metric, start: Evidence) -> StageMetric:
    """The reference: its own figures, from which nothing has moved yet."""
    result = _blank(metric, "ok", "", start.n)
    for value in metric.values:
        if isinstance(value, Change):
            own = ValueResult(kind="change", unit=value.unit, n=start.n, estimate=0.0, reason=THE_REFERENCE)
        else:
            derived = engine.derivation.value(value, replace(start, variant=start.reference)).result
            nothing: dict[str, Any] = {"estimate": None, "ci": None, "interval": "none", "bound": derived.bound}
            nothing |= {"seed_ratio": None, "p_value": None, "reason": THE_REFERENCE}
            own = derived.model_copy(update=nothing)
        result.values[value.name] = StageValue(cumulative=own)
    return result


def _name_largest(metric: Metric, results: Sequence[StageMetric]) -> None:
    """Mark, value by value, the stage that adds most, if its interval lies above nothing and it above rounding."""
    for value in metric.values:
        known = [item.values[value.name] for item in results if value.name in item.values]
        adding = [(item.added.estimate, item) for item in known if item.added and item.added.estimate is not None]
        if not adding:
            continue
        most, item = max(adding, key=lambda pair: pair[0])
        assert item.added is not None
        low = None if item.added.ci is None else item.added.ci[0]
        item.largest = low is not None and low > 0 and most > (item.added.numerical_floor or 0.0)
