"""Judgements as ``::error`` and ``::warning`` lines, which GitHub shows beside the code."""

from __future__ import annotations

from bench.report.judgements import rows_of
from bench.results import Comparison
from bench.results.consequences import Consequence
from bench.wording import plain

KINDS = {Consequence.REGRESSION: "error", Consequence.INCOMPLETE: "error", Consequence.OPEN: "warning"}


def error_lines(comparison: Comparison) -> list[str]:
    r"""``::error`` lines for what fails, ``::warning`` for what stays open; nothing in a name can start another one.

    >>> from bench.results import Judgement
    >>> item = Judgement(variant="a\n::error::b", target="t", metric="m", value="v", against="baseline",
    ...                  verdict="regressed", because="100 %")
    >>> error_lines(Comparison(suite="s", baseline="b", exit_code=1, closing="", judgements=[item]))
    ['::error title=s::a ::error::b (t): v: regressed: 100 %25']
    """
    lines = []
    for row in rows_of(comparison):
        kind = KINDS.get(row.consequence)
        if kind:
            text = _command(f"{row.name}: {row.word}: {row.because}")
            lines.append(f"::{kind} title={_property(comparison.suite)}::{text}")
    if comparison.exit_code and not any(line.startswith("::error") for line in lines):
        lines.append(f"::error title={_property(comparison.suite)}::{_command(comparison.closing)}")
    return lines


def _command(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
