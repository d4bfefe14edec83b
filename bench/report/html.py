"""The report of one run as a page: it opens from disk, asks no other host, and reads without scripts."""

from __future__ import annotations

from bench.report import figures
from bench.report.board.build import board as joined
from bench.report.board_text import SIGNS, WORDS, BoardText, board_text
from bench.report.detail import provenance
from bench.report.detail_text import flat
from bench.report.interactive import Place, inline, packed, payload, script
from bench.report.interactive.pareto import drawing
from bench.report.leaderboard import leaderboard
from bench.report.page import asset, environment, policy
from bench.report.ratio_text import HEADING, NOTE
from bench.report.sections import sections_of
from bench.report.strip import position
from bench.results import Results
from bench.wording import plain
from bench.wording_of_sums import sums_lines


def compared(results: Results, board: BoardText) -> str:
    """What was compared, on what data and how many samples, in one sentence."""
    variants = len({variant.name for variant in results.variants})
    targets = len({variant.target for variant in results.variants})
    replicates = len({variant.replicate for variant in results.variants} - {None})
    data = results.suite.data
    on = "" if data is None else f" on {plain(data.name)}, {data.evaluation} evaluation samples"
    many = f"{variants} variant{'s' if variants != 1 else ''} on {targets} target{'s' if targets != 1 else ''}"
    if replicates > 1:
        many += f", in {replicates} replicates and all of them together"
    return f"{many}, each beside the reference network on the same target{on}; {board.headline}."


def render_html(results: Results, place: Place = inline) -> str:
    """The whole report as one HTML document.

    Only this page's own style and script may run (content security policy by hash), so that no name in a results file
    can become code even where an escape were forgotten.

    Args:
        results: of one run.
        place: from a picture in base64 to what an image's ``src`` names; by default the picture within the page.
    """
    board = board_text(leaderboard(results))
    style, code = asset("report.css"), script()
    meanings = figures.meanings(board.yardstick)
    every = joined([("", results)], every=True)
    data = payload(every, place, yardstick=board.yardstick)
    group = data["groups"][0]
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            board=board,
            compared=compared(results, board),
            rows=board.rows,
            group=group,
            scaled=any("gap" in told for told in group["families"]),
            drawing=drawing(group),
            packed=packed(data),
            states=[("ship", "May ship"), ("stop", "Do not ship"), ("error", "Error"), ("open", "Undecided")],
            words=WORDS,
            signs=SIGNS,
            meanings=data["meanings"],
            mark_signs=data["signs"],
            marks=[(figures.SIGNS[mark], meaning) for mark, meaning in meanings.items() if mark],
            one=position(1.0),
            provenance=flat(provenance(results)),
            sums=sums_lines(results.cells),
            sections=sections_of(results),
            ratios_heading=HEADING,
            ratios_note=NOTE,
            style=style,
            script=code,
            policy=policy(style, code),
        )
    )
