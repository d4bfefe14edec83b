"""Two variants of a run against each other, by the distances of both from the reference."""

from __future__ import annotations

from bench.errors import UserError
from bench.metrics.base import metrics
from bench.results import Cell
from bench.stats.ratio import Ratio, paired_ratio
from bench.stats.resampling import Resamples
from bench.store.samples import RunSamples, ValueSamples


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
    name = value or _headline(first)
    kept = [_distances(cell, samples, name, where) for cell in (first, second)]
    identities = [samples.cells[cell.id.path].identity for cell in (first, second)]
    if any(identities[0].get(key) != identities[1].get(key) for key in ("data", "reference")):
        raise UserError.at(where, "their references or samples differ", "compare variants of one reference")
    one, other = (item.variant["x"] for item in kept)
    floor = max(first.values[name].numerical_floor or 0.0, second.values[name].numerical_floor or 0.0)
    counted = kept[0].form == "count"
    return paired_ratio(one, other, Resamples(one.size), power=kept[0].power, count=counted, floor=floor)


def _headline(cell: Cell) -> str:
    """The metric's headline, where it is registered here."""
    if cell.metric in metrics.names():
        return metrics.get(cell.metric).headline or ""
    return ""


def _distances(cell: Cell, samples: RunSamples, name: str, where: str) -> ValueSamples:
    found = samples.cells.get(cell.id.path)
    kept = None if found is None else found.values.get(name)
    if kept is None or kept.form not in ("count", "distance"):
        known = (
            [] if found is None else [key for key, item in found.values.items() if item.form in ("count", "distance")]
        )
        advice = f"kept are {', '.join(known)}" if known else "gate the value in the suite, and measure it again"
        raise UserError.at(where, f"no distances of {name or 'a change'!r} were kept of {cell.label}", advice)
    return kept
