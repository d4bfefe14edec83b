"""Networks whose robustness may only seem: what metrics that look for it found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from bench.engine.inline import InlineEngine, Measured
from bench.metrics.base import Metric
from bench.results import Cell
from bench.suite.plan import PlannedCell

Place: TypeAlias = tuple[str, str, int | None]  # variant, target, replicate
FAMILY = "adversarial"


class Unreliable:
    """Why the robustness of a variant on a target is potentially unreliable, in the words of the metric that found it.

    What a part of a suite leaves out counts as it is stored. A target that was not looked at has the verdict of the
    others: the same weights ran there.
    """

    def __init__(self, engine: InlineEngine, cells: Iterable[tuple[PlannedCell, Measured]]) -> None:
        self._said: dict[Place, list[str]] = defaultdict(list)
        held = set()
        for planned, measured in cells:
            held.add(planned.label)
            self._note(planned, measured.cell)
        for planned in engine.plan.cells:
            if planned.label not in held and cautious(planned.use.metric):
                self._note(planned, engine.stored(planned))

    def _note(self, planned: PlannedCell, cell: Cell | None) -> None:
        metric = planned.use.metric
        if cell is not None and cell.status == "ok" and metric.family == FAMILY and cautious(metric):
            place = planned.variant, planned.target.name, planned.replicate
            self._said[place].append(metric.caution(cell.details.get("variant", {})))

    def reason(self, family: str, variant: str, target: str, replicate: int | None) -> str:
        """Why it has no rank in that family; empty where nothing is known against it."""
        if family != FAMILY:
            return ""
        said = self._said.get((variant, target, replicate))
        if said is None:
            said = [
                f"on {place[1]}: {text}"
                for place, texts in self._said.items()
                if (place[0], place[2]) == (variant, replicate)
                for text in filter(None, texts)
            ]
        told = "; ".join(dict.fromkeys(filter(None, said)))
        return f"potentially unreliable: {told}" if told else ""


def cautious(metric: Metric) -> bool:
    """Whether a metric has anything to say of a network before its figures."""
    return type(metric).caution is not Metric.caution
