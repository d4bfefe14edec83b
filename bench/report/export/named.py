"""The figures of variants that charts elsewhere can follow: own figures with a direction, by readable names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.cell_id import CellId, replicate_suffix
from bench.frames import shown_parameters
from bench.results import Results, ValueResult
from bench.wording import plain


class Named(NamedTuple):
    """A variant's own figure and its 95 % interval; the change itself where a value is one."""

    network: str  # variant/target, and the replicate where it is not the first
    measure: str  # metric[parameters].value
    value: ValueResult
    number: float
    low: float | None
    high: float | None

    @property
    def better(self) -> str:
        """Which way is better; less of a change is."""
        return "lower" if self.value.kind == "change" else self.value.better


def named(results: Results) -> Iterator[Named]:
    """Every figure of every cell; values that are neither better nor worse in any direction are left out."""
    for cell in results.cells:
        place = CellId.of(cell)
        replicate = replicate_suffix(place.replicate)
        given = shown_parameters(cell.params)
        metric = f"{cell.metric}[{given}]" if given else cell.metric
        for name, value in cell.values.items():
            change = value.kind == "change"
            number = value.estimate if change else value.variant
            low, high = (value.ci if change else value.own_ci) or (None, None)
            item = Named(
                plain(f"{cell.variant}/{cell.target}{replicate}"), plain(f"{metric}.{name}"), value, 0, low, high
            )
            if number is not None and item.better != "none":
                yield item._replace(number=number)
