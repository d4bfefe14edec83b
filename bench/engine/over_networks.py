"""Results over many networks at once: reused from the store, or derived from observations and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from bench.engine.inline import InlineEngine
from bench.engine.networks import NetworkFailure, one_line
from bench.interrupts import contained
from bench.results.base import Record
from bench.store.stored import DamagedArrays
from bench.suite.plan import PlannedObservation
from bench.suite.planned_networks import chain
from bench.suite.selection import matches


class OverNetworks(Protocol):
    """What is planned over many networks."""

    @property
    def key(self) -> str:
        """Its address in the store."""

    @property
    def label(self) -> str:
        """Its name for globs."""

    @property
    def parts(self) -> dict[str, Any]:
        """All that can change its result."""

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that it is derived from."""


Planned = TypeVar("Planned", bound=OverNetworks)
Result = TypeVar("Result", bound=Record)


def chosen(items: Sequence[Planned], only: str | None, shard: tuple[int, int]) -> list[Planned]:
    """What a part of a run holds: what ``only`` means, of the i-th of n parts."""
    index, count = shard
    kept = [item for item in items if int(item.key[:12], 16) % count == index - 1]
    return [item for item in kept if only is None or matches(item.label, only)]


def measured(
    engine: InlineEngine, planned: Planned, blank: Result, derive: Callable[[InlineEngine, Planned, Result], Result]
) -> Result:
    """One result; whatever goes wrong stays in it, and errors are measured again by the next run.

    Args:
        engine: The run's.
        planned: What it is made of.
        blank: Its names alone.
        derive: The result of those names, from observations.
    """
    engine.used.add(planned.key)
    for item in planned.every():
        engine.used |= {item.key, *(node.key for node in chain(item.network))}
    names = blank.model_dump(exclude_unset=True)
    kept = _kept(engine, planned, type(blank))
    failed = kept is not None and getattr(kept, "status", "ok") == "error"
    if kept is not None and not (failed and engine.rerun in ("missing", "failed")):
        return kept.model_copy(update={**names, "cached": True})
    if engine.rerun == "never" or (engine.rerun == "failed" and not failed):
        return blank.model_copy(update={"status": "error", "reason": f"not measured: --rerun {engine.rerun}"})

    def made() -> Result:
        try:
            with contained():
                return derive(engine, planned, blank)
        except DamagedArrays:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, NetworkFailure) else one_line(error)
            return blank.model_copy(update={"status": "error", "reason": reason})

    result = engine.observations.with_whole(made)
    engine.store.put("cells", planned.parts, result.model_dump(mode="json"))
    return result


def _kept(engine: InlineEngine, planned: OverNetworks, kind: type[Result]) -> Result | None:
    """The stored result, if there is one."""
    stored = None if engine.rerun == "always" else engine.store.find("cells", planned.parts)
    if stored is None:
        return None
    try:
        return kind.model_validate(stored.content)
    except ValueError:
        engine.store.reject("cells", stored.key, f"it holds no {kind.__name__}")
        return None
