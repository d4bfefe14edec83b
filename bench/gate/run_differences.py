"""Each network's own figures in a later run beside those in an earlier one, on the same samples."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.cell_id import canonical_parameters
from bench.families import is_family_harm
from bench.results import Cell, Results, RunDifference
from bench.stats.paired_differences import count_difference, drawn_difference
from bench.stats.resampling import Resamples
from bench.store.samples import CellSamples, RunSamples, ValueSamples
from bench.variant_ratio import MUST_EQUAL, other_values

SHARED = {name: word for name, word in MUST_EQUAL.items() if name != "reference"}  # own figures need no reference
SHARED["integer_sums"] = "the kind of 8-bit sums"
Asked = tuple[str | None, str, int | None, str, str, str]  # variant, target, replicate, metric, parameters, value


class _Figure(NamedTuple):
    """One network's figure, the mean of ``losses`` (n,): the more, the worse."""

    cell: Cell
    losses: NDArray[Any]
    counted: bool
    floor: float
    measurement: tuple[str, ...]  # equal ones are one and the same measurement
    samples: CellSamples


def run_differences(
    before: Results, before_samples: RunSamples, after: Results, after_samples: RunSamples
) -> list[RunDifference]:
    """Loss_after - loss_before of every network that both runs hold, by what its families show first of a harm.

    The data, the metric and the samples have to be the same; suites and references need not be. Where a difference
    cannot be had it is None with the reason.

    Args:
        before: The earlier run.
        before_samples: Its per-sample arrays.
        after: The later run.
        after_samples: Its per-sample arrays.
    """
    old, new = _figures(before, before_samples), _figures(after, after_samples)
    shared = [asked for asked in new if asked in old]
    means: dict[int, list[NDArray[Any]]] = defaultdict(list)
    for figure in (side[asked] for asked in shared for side in (old, new)):
        if not figure.counted:
            means[figure.losses.size].append(figure.losses)
    resamples = {n: Resamples(n).ahead(vectors) for n, vectors in means.items()}  # one pass for all of as many samples
    return [_difference(asked, old[asked], new[asked], resamples) for asked in shared]


def _figures(results: Results, samples: RunSamples) -> dict[Asked, _Figure]:
    """Every figure of each variant and of the reference that its families show first, and whose samples were kept."""
    found: dict[Asked, _Figure] = {}
    for cell in results.cells:
        kept = samples.cells.get(cell.id.path)
        if cell.status != "ok" or kept is None:
            continue
        for name in (name for name in cell.values if name in kept.values):
            item = kept.values[name]
            if item.form not in ("proportion", "mean") or item.log or item.better == "none":
                continue
            if not is_family_harm(cell.family, cell.metric, name):
                continue
            place = cell.target, cell.replicate, cell.metric, canonical_parameters(cell.params), name
            floor = cell.values[name].numerical_floor or 0.0
            for variant, arrays, key in (
                (cell.variant, item.variant, ("variant", kept.key)),
                (None, item.reference, ("reference", str(kept.identity.get("reference")))),
            ):
                if "x" in arrays:
                    figure = _Figure(cell, _losses(arrays["x"], item), item.form == "proportion", floor, key, kept)
                    found.setdefault((variant, *place), figure)
    return found


def _losses(x: NDArray[Any], samples: ValueSamples) -> NDArray[Any]:
    return np.asarray(x, dtype=np.float64) * (-1 if samples.better == "higher" else 1)


def _difference(asked: Asked, old: _Figure, new: _Figure, resamples: dict[int, Resamples]) -> RunDifference:
    variant, target, replicate, metric, _, name = asked
    place: dict[str, Any] = {"variant": variant, "target": target, "replicate": replicate, "metric": metric}
    place |= {"params": new.cell.params, "value": name, "like": new.cell.values[name]}
    if reason := _apart(old, new):
        return RunDifference(**place, reason=reason)
    n, told = new.losses.size, float(np.mean(new.losses) - np.mean(old.losses))
    if new.counted:
        low, high, _ = count_difference(new.losses, old.losses)
    else:
        later, earlier = (resamples[n].means(figure.losses) for figure in (new, old))
        low, high, _ = drawn_difference(later, earlier, n)
    ends = None if low is None or high is None else (low, high)
    same = new.measurement == old.measurement and np.array_equal(new.losses, old.losses)  # a target may be another
    return RunDifference(**place, difference=told, ci=ends, numerical_floor=new.floor + old.floor, unchanged=same)


def _apart(old: _Figure, new: _Figure) -> str:
    """Why two figures are not compared; empty where they are."""
    if others := other_values(old.samples, new.samples, SHARED):
        return others
    if old.counted != new.counted or old.losses.shape != new.losses.shape:
        return "the value is defined in another way"
    return ""
