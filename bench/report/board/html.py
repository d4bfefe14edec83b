"""The board as one static page: tables alone, no script, no other file, no other host."""

from __future__ import annotations

from bench.report import figures
from bench.report.board.entry_text import MEANINGS, WORDS
from bench.report.board.pivot import pivots
from bench.report.board.text import APART, NOTE, BoardText
from bench.report.page import asset, environment, policy
from bench.report.yardsticks import yardstick_words


def render_board_html(board: BoardText) -> str:
    """The whole board as one HTML document; names from results are escaped."""
    style = asset("report.css")
    said = figures.meanings(yardstick_words("none", 0))
    return (
        environment()
        .get_template("board.html.j2")
        .render(
            board=board,
            pivots=[pivots(group.columns, group.rows) for group in board.groups],
            note=NOTE,
            apart=APART,
            marks=[(figures.SIGNS[mark], said[mark]) for mark in board.marks],
            statuses=[(WORDS.get(status, ""), MEANINGS[status]) for status in board.statuses],
            meanings=said,
            style=style,
            policy=policy(style),
        )
    )
