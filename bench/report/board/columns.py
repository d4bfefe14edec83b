"""Which columns a board has: every source of columns stands here, and what is shown unless a user chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from bench.cell_id import canonical_parameters
from bench.errors import Problem, UserError
from bench.families import in_order
from bench.registry import nearest, parse_parameters
from bench.report.board.cells import cell_columns
from bench.report.board.kept import kept_columns
from bench.report.board.model import BoardColumn, BoardRun
from bench.report.board.worth import worth_columns

Source: TypeAlias = Callable[[Sequence[BoardRun]], Iterable[BoardColumn]]
# a further source of columns is one more here
SOURCES: Final[tuple[Source, ...]] = (cell_columns, kept_columns, worth_columns)

OPTION: Final = "--value"
DEFAULTS: Final = (  # beside every family's headline
    "fidelity.accuracy.accuracy",
    "lipschitz.local.largest_jacobian_norm",
    "adversarial.robust_error.robust_error",
    "adversarial.minimum_norm.median_distance",
    "adversarial.corruptions.corruption_error",
    "adversarial.pgd.robust_error",
    "uncertainty.calibration.nll",
    "uncertainty.temperature.calibrated_nll",
    "uncertainty.selective.aurc",
    "uncertainty.ood.mcp_auroc",
    "uncertainty.members.disagreement",
    "uncertainty.members.disagreement.kept",
    "equivalent.networks",
    "equivalent.per_megabyte",
    "equivalent.per_megamac",
    "equivalent.cpu_seconds",
    "equivalent.epochs",
    "cost.file_bytes",
    "cost.macs",
    "cost.latency_median",
)


def all_columns(runs: Sequence[BoardRun]) -> tuple[BoardColumn, ...]:
    """Every column that any run has a figure or a reason for, of every source."""
    return tuple(column for source in SOURCES for column in source(runs))


def chosen(columns: Sequence[BoardColumn], runs: Sequence[BoardRun], wanted: Sequence[str]) -> tuple[BoardColumn, ...]:
    """The columns that were asked for, in that order; else the usual ones, and all where none of these was measured.

    Raises:
        UserError: a name that no run has, with the nearest one that there is.
    """
    if not wanted:
        return _usual(columns, runs) or tuple(columns)
    found: dict[str, BoardColumn] = {}
    problems = []
    for text in wanted:
        matching = [column for column in columns if _answers(column, text)]
        found |= {column.name: column for column in matching}
        if not matching:
            problems.append(Problem(OPTION, f"no run has {text!r}", nearest(text, [c.name for c in columns])))
    if problems:
        raise UserError(problems)
    return tuple(found.values())


def _answers(column: BoardColumn, text: str) -> bool:
    """Whether ``metric.value`` or ``metric[parameter=value].value`` means a column."""
    metric, mark, rest = text.partition("[")
    if not mark:
        return text == f"{column.metric}.{column.value}"
    given, _, value = rest.rpartition("]")
    known = parameters_of(column)
    same = all(known.get(key) == wish for key, wish in parse_parameters(given, OPTION).items())
    return same and metric + value == f"{column.metric}.{column.value}"


def parameters_of(column: BoardColumn) -> dict[str, object]:
    """All parameters of a column's metric."""
    import json

    known: dict[str, object] = json.loads(column.parameters)
    return known


def _usual(columns: Sequence[BoardColumn], runs: Sequence[BoardRun]) -> tuple[BoardColumn, ...]:
    """Family by family: the default columns, then what a run names as the family's headline."""
    headlines = {
        (family.headline.metric, canonical_parameters(family.headline.params), family.headline.value)
        for run in runs
        for variant in run.results.variants
        for family in variant.families.values()
        if family.headline is not None
    }
    by_name: dict[str, list[BoardColumn]] = {}
    for column in columns:
        by_name.setdefault(f"{column.metric}.{column.value}", []).append(column)
    first = [column for name in DEFAULTS for column in by_name.get(name, ())]
    named = [column for column in columns if (column.metric, column.parameters, column.value) in headlines]
    every = list({id(column): column for column in (*first, *named)}.values())
    order = in_order({column.family for column in every})
    return tuple(sorted(every, key=lambda column: order.index(column.family)))
