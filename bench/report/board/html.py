"""The board of several runs as a page: it opens from disk, asks no other host, and reads without scripts."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import figures
from bench.report.board.build import board as joined
from bench.report.board.entry_text import MEANINGS, WORDS
from bench.report.board.text import APART, NOTE, BoardText, board_text
from bench.report.board_text import WORDS as VERDICTS
from bench.report.interactive import Place, inline, packed, payload, script
from bench.report.interactive.pareto import drawing
from bench.report.interactive.runs_beside import between_runs
from bench.report.page import asset, environment, policy
from bench.report.sections import sections_of
from bench.report.strip import position
from bench.report.yardsticks import yardstick_words
from bench.results import Results, RunsBeside
from bench.wording import plain


def render_board_html(
    given: Sequence[tuple[str, Results]],
    values: Sequence[str] = (),
    place: Place = inline,
    *,
    board: BoardText | None = None,
    beside: Sequence[RunsBeside] = (),
) -> str:
    """The whole board as one HTML document; names from results are escaped.

    Args:
        given: (place, results) of each run.
        values: names of the columns of the table; by default the usual ones.
        place: from a picture in base64 to what an image's ``src`` names; by default the picture within the page.
        board: their board of these values in words, where it is known already.
        beside: what is known of two of these runs in pairs.

    Raises:
        UserError: a value that no run has.
    """
    board = board or board_text(joined(given, values))
    style, code = asset("report.css"), script()
    said = figures.meanings(yardstick_words("none", 0))
    every = joined(given, every=True)
    data = payload(every, place, values, beside=beside)
    return (
        environment()
        .get_template("board.html.j2")
        .render(
            board=board,
            data=data,
            drawings=[drawing(group) for group in data["groups"]],
            sections=[[(plain(run.name), sections_of(run.results)) for run in group.runs] for group in every.groups],
            between=[between_runs(group) for group in data["groups"]],
            packed=packed(data),
            note=NOTE,
            apart=APART,
            words=VERDICTS,
            marks=[(figures.SIGNS[mark], said[mark]) for mark in board.marks],
            mark_signs=data["signs"],
            statuses=[(WORDS.get(status, ""), MEANINGS[status]) for status in board.statuses],
            one=position(1.0),
            style=style,
            script=code,
            policy=policy(style, code),
        )
    )
