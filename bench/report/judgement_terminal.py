"""Judgements in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bench.report.judgements import RATIOS, JudgementRow, ratio_lines, rows_of
from bench.report.terminal import ASCII
from bench.results import Comparison, Word
from bench.results.consequences import WORDS, Consequence
from bench.wording import plain

SIGNS = {
    Consequence.REGRESSION: "✗", Consequence.INCOMPLETE: "?", Consequence.OPEN: "?", Consequence.ACCEPTED: "–",
    Consequence.PASS: "✓",
}  # fmt: skip
OWN_SIGNS: dict[Word, str] = {"errored": "✗", "improved": "▲"}
STYLES = {"✗": "bold red", "?": "yellow"}


def sign_of(word: Word) -> str:
    """A word as one character, whatever follows from it in this run.

    >>> sign_of("regressed"), sign_of("missing"), sign_of("same")
    ('✗', '?', '✓')
    """
    return OWN_SIGNS.get(word, SIGNS[WORDS[word].consequence])


def render(comparison: Comparison, console: Console) -> None:
    """Print everything but what stayed the same, one line each, and the closing line last."""
    lines = [Text(f"{comparison.suite} against {comparison.baseline}", style="bold")]
    for row in rows_of(comparison):
        if not row.unchanged:
            lines += _lines(row)
    if ratios := ratio_lines(comparison):
        lines += [Text(RATIOS, style="bold"), *(Text(f"  {line.sentence}") for line in ratios)]
    lines += [Text(f"! {plain(note)}", style="yellow") for note in comparison.notes]
    lines.append(Text(comparison.closing, style="bold red" if comparison.exit_code else "bold green"))
    for line in lines:
        if not (console.encoding or "").lower().startswith("utf"):
            encoding = console.encoding or "ascii"
            line = Text(line.plain.translate(ASCII).encode(encoding, "replace").decode(encoding), style=line.style)
        console.print(line, soft_wrap=True)


def _lines(row: JudgementRow) -> list[Text]:
    sign = sign_of(row.judgement.verdict)
    said = Text(f"{sign} {row.word}  {row.name}: {row.because}", STYLES.get(sign, "") if row.bad else "")
    return [said, *([Text(f"    {row.look}", style="dim")] if row.look else [])]
