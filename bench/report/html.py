"""One static page that holds everything: no other file, no other host, readable without scripts."""

from __future__ import annotations

from bench.report import figures
from bench.report.board_text import SIGNS, WORDS, BoardText, board_text
from bench.report.detail import cell_entries, provenance
from bench.report.detail_text import cell_text, flat
from bench.report.equivalents import HEADING as EQUIVALENTS_HEADING
from bench.report.equivalents import NOTE as EQUIVALENTS_NOTE
from bench.report.equivalents import equivalents_texts
from bench.report.exemplars import HEADING as EXEMPLARS_HEADING
from bench.report.exemplars import NOTE as EXEMPLARS_NOTE
from bench.report.exemplars import exemplars_texts
from bench.report.landscape import HEADING as LANDSCAPE_HEADING
from bench.report.landscape import NOTE as LANDSCAPE_NOTE
from bench.report.landscape import landscape_texts
from bench.report.leaderboard import leaderboard
from bench.report.page import asset, environment, policy
from bench.report.ratio_text import HEADING, NOTE
from bench.report.series import HEADING as SERIES_HEADING
from bench.report.series import NOTE as SERIES_NOTE
from bench.report.series import series_texts
from bench.report.strip import position, strip, ticks
from bench.report.transfer import HEADING as TRANSFER_HEADING
from bench.report.transfer import NOTE as TRANSFER_NOTE
from bench.report.transfer import transfer_texts
from bench.report.waterfall import stages_of
from bench.report.waterfall_text import stages_text
from bench.results import Results
from bench.wording_of_sums import sums_lines

MOST_HARMS = 4


def shown_columns(board: BoardText) -> list[int]:
    """The harms that the leaderboard holds: gated ones always, then those with an interval, four in all."""
    wanted = [i for i, column in enumerate(board.columns) if column.gated or column.interval]
    gated = sum(column.gated for column in board.columns)
    return wanted[: max(gated, MOST_HARMS)]


def render_html(results: Results) -> str:
    """The whole report as one HTML document.

    Only this page's own style and script may run (content security policy by hash), so that no name in a results file
    can become code even where an escape were forgotten.
    """
    board = board_text(leaderboard(results))
    style, script = asset("report.css"), asset("report.js")
    harms = shown_columns(board)
    meanings = figures.meanings(board.yardstick)
    rows = [
        {
            "row": row,
            "strips": [(gap, strip(gap, board.yardstick)) for gap in row.gaps],
            "cells": [cell_text(entry) for entry in cell_entries(row.cells)],
            "stages": None if (stages := stages_of(variant, row.cells)) is None else stages_text(stages),
        }
        for row, variant in zip(board.rows, results.variants, strict=True)
    ]
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            board=board,
            harms=harms,
            left_out=[column.title for i, column in enumerate(board.columns) if i not in harms],
            rows=rows,
            states=[("ship", "May ship"), ("stop", "Do not ship"), ("error", "Error"), ("open", "Undecided")],
            words=WORDS,
            signs=SIGNS,
            meanings=meanings,
            marks=[(figures.SIGNS[mark], meaning) for mark, meaning in meanings.items() if mark],
            ticks=ticks(board.yardstick),
            one=position(1.0),
            provenance=flat(provenance(results)),
            sums=sums_lines(results.cells),
            series=series_texts(results.series),
            series_heading=SERIES_HEADING,
            series_note=SERIES_NOTE,
            landscape=landscape_texts(results.landscape),
            landscape_heading=LANDSCAPE_HEADING,
            landscape_note=LANDSCAPE_NOTE,
            exemplars=exemplars_texts(results.exemplars),
            exemplars_heading=EXEMPLARS_HEADING,
            exemplars_note=EXEMPLARS_NOTE,
            transfer=transfer_texts(results.transfer),
            transfer_heading=TRANSFER_HEADING,
            transfer_note=TRANSFER_NOTE,
            equivalents=equivalents_texts(results.equivalents),
            equivalents_heading=EQUIVALENTS_HEADING,
            equivalents_note=EQUIVALENTS_NOTE,
            ratios_heading=HEADING,
            ratios_note=NOTE,
            style=style,
            script=script,
            policy=policy(style, script),
        )
    )
