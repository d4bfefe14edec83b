"""Two runs beside each other, as a page of both shows them."""

from __future__ import annotations

from bench.gate.run_differences import run_differences
from bench.gate.run_ratios import run_ratios
from bench.gate.runs import Run
from bench.results import RunsBeside


def runs_beside(before: tuple[str, Run], after: tuple[str, Run]) -> RunsBeside | None:
    """All that is known of two runs in pairs of samples; None where the arrays of one are not there.

    Changes are beside each other where both runs are of one suite.

    Args:
        before: The earlier run, and what it is named by.
        after: The later one.
    """
    (first, old), (second, new) = before, after
    if old.samples is None or new.samples is None:
        return None
    measured = old.results, old.samples, new.results, new.samples
    one_suite = old.results.suite.name == new.results.suite.name
    return RunsBeside(
        before=first,
        after=second,
        ratios=tuple(run_ratios(*measured)) if one_suite else (),
        differences=tuple(run_differences(*measured)),
    )
