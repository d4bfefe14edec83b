from __future__ import annotations

import re

from bench.report.board_text import board_text
from bench.report.leaderboard import leaderboard
from bench.report.markdown import escape, render_markdown


def test_every_row_has_every_column(sample_run):
    table = [line for line in render_markdown(sample_run).splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(sample_run.variants)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_the_figures_are_those_of_the_board(sample_run):
    text = render_markdown(sample_run)
    shown = board_text(leaderboard(sample_run))
    for row in shown.rows:
        for figure in (*row.harms[:4], *(gap.figure for gap in row.gaps), row.size, row.latency):
            assert str(figure) in text
    assert text.startswith("## digits: 3 of 11 may ship\n")
    assert "- ! prune30 \\(torch\\), fidelity: Jensen-Shannon divergence at least 1.6" in text


def test_names_cannot_become_markup_or_break_the_table(hostile_run):
    text = render_markdown(hostile_run)
    assert "<" not in text.replace("&lt;", "")
    assert not re.search(r"(?<!\\)\]\(", text)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "\x1b" not in text
    assert "nan" not in text.lower()


def test_escape_stops_bare_links_and_mentions():
    assert escape("https://example.org @you") == "https:&#47;&#47;example.org \\@you"


def test_an_empty_run(empty_run):
    assert render_markdown(empty_run).startswith("## digits: nothing was measured")
