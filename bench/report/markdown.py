"""A short summary in Markdown, for a pull request or a job's page."""

from __future__ import annotations

import re

from bench.report.board_text import SIGNS, UNGATED, WORDS, board_text
from bench.report.figures import Figure
from bench.report.leaderboard import State, leaderboard
from bench.results import Results

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~@$^])")
LONGEST_NOTE = 300


def escape(text: str) -> str:
    r"""Text that Markdown and the HTML inside it show as it stands.

    >>> escape("a|b <i> [x](y)")
    'a\\|b &lt;i&gt; \\[x\\]\\(y\\)'
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", safe).replace("://", ":&#47;&#47;")


def _figure(figure: Figure) -> str:
    # signs and brackets of our own numbers need no escape within a table cell; units and names do
    return " ".join(filter(None, (_plain_number(figure.value), figure.interval, figure.sign)))


def _plain_number(text: str) -> str:
    sign, rest = ("+", text[1:]) if text.startswith("+") else ("", text)
    return sign + escape(rest)


def render_markdown(results: Results) -> str:
    """Verdict, one table, the sentences and what is missing; the same figures as every other report."""
    shown = board_text(leaderboard(results))
    harms = [i for i, column in enumerate(shown.columns) if column.gated or column.interval]
    lines = [f"## {escape(shown.title)}: {shown.headline}", ""]
    if not shown.rows:
        lines += [f"{SIGNS[shown.state]} {escape(shown.because)}", ""]
    else:
        head = ["variant", "target", "verdict", *(escape(shown.columns[i].title) for i in harms)]
        head += [f"{escape(family)} gap" for family in shown.families] + ["size", "latency"]
        lines += [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        for row in shown.rows:
            cells = [escape(row.name), escape(row.place), f"{SIGNS[row.state]} {WORDS[row.state]}"]
            cells += [_figure(row.harms[i]) for i in harms] + [_figure(gap.figure) for gap in row.gaps]
            cells += [_figure(row.size), _figure(row.latency)]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", f"Harm: + is worse. Gap: 0 = same function, {escape(shown.yardsticks)}. 95 % intervals.", ""]
    lines += [
        f"- {SIGNS[row.state]} {escape(row.because)}"
        for state in (State.STOP, State.ERROR, State.OPEN, State.SHIP)
        for row in shown.those(state)
        if row.reason != UNGATED  # the headline says so
    ]
    alarms = [(row, gap) for row in shown.rows for gap in row.gaps if gap.alarming]
    if alarms:
        lines += ["", f"Alarms, surely further from the reference than {shown.yardstick.further}:", ""]
        lines += [f"- ! {escape(row.label)}, {escape(gap.family)}: {escape(gap.alarm_words)}" for row, gap in alarms]
    if shown.warnings:
        lines += ["", "Warnings:", "", *(f"- {escape(line)}" for line in shown.warnings)]
    if shown.notes:
        lines += ["", "Missing:", ""]
        for note in shown.notes:
            reason = note.reason if len(note.reason) <= LONGEST_NOTE else f"{note.reason[:LONGEST_NOTE]} …"
            lines.append(f"- {note.kind}: {escape(note.what)} on {escape(', '.join(note.where))}: {escape(reason)}")
    return "\n".join(lines) + "\n"
