"""Whether an outside reference answers better than chance: if not, its declared input is probably wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Dataset
from bench.engine.inline import InlineEngine
from bench.functional.predictions import correct
from bench.interrupts import contained
from bench.probes.logits import Logits
from bench.stats.proportions import binomial_tail
from bench.suite.plan import PlannedCell, PlannedObservation
from bench.suite.planner import Planner

ADVICE = "check its input: mean, std, scale, layout, dtype, output and the order of classes"
LEVEL = 0.05


def at_chance(correct: int, n: int, classes: int, largest: int) -> bool:
    """Whether so many right answers are no evidence for more than chance.

    Chance is 1 / classes, or the share of the largest class, which a constant answer reaches. The test is exact
    (binomial, one-sided, 5 %).

    Args:
        correct: right answers.
        n: samples.
        classes: how many classes there are.
        largest: samples of the most frequent class.

    >>> at_chance(42, 360, 10, 37), at_chance(340, 360, 10, 37)
    (True, False)
    """
    return binomial_tail(correct, n, max(1 / classes, largest / n)) > LEVEL


def warnings(planner: Planner, dataset: Dataset, engine: InlineEngine, cells: Iterable[PlannedCell]) -> list[str]:
    """One line for each target on which an outside reference is right no more often than by chance.

    It is asked once a target, through the store; where that fails, the cells say so.
    """
    labels = dataset.evaluation.y
    if planner.suite.reference.outside is None or labels is None or engine.rerun not in ("missing", "always"):
        return []
    lines: dict[str, str] = {}
    for cell in cells:
        target = cell.target.name
        if target in lines:
            continue
        planned = planner.observation(Logits(), cell.original, cell.target, cell.original, len(labels))
        right = _correct(engine, planned, labels)
        lines[target] = "" if right is None else _line(target, right, labels, len(dataset.input.classes))
    return [line for line in lines.values() if line]


def _correct(engine: InlineEngine, planned: PlannedObservation, labels: NDArray[np.int64]) -> int | None:
    """The number of right answers; None where the reference could not be asked."""
    try:
        with contained():
            right = engine.observations.with_whole(lambda: _right(engine, planned, labels))
    except Exception:  # the same failure is the reason of every cell
        return None
    engine.used.add(planned.key)
    return right


def _right(engine: InlineEngine, planned: PlannedObservation, labels: NDArray[np.int64]) -> int | None:
    arrays = engine.observations.get(planned).arrays
    return int(correct(arrays["log_probabilities"], labels).sum()) if "log_probabilities" in arrays else None


def _line(target: str, correct: int, labels: NDArray[np.int64], classes: int) -> str:
    """The warning, or an empty text."""
    n, largest = len(labels), int(np.bincount(labels).max())
    if not at_chance(correct, n, classes, largest):
        return ""
    chance = max(1 / classes, largest / n)
    share = f"{correct} of {n} samples on target {target!r}, no better than chance ({chance:.1%})"
    return f"the reference is right on {share}: {ADVICE}"
