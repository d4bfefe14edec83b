"""Histories as one static page: a plot each value, no script, no other file, no other host."""

from __future__ import annotations

from bench.report.history.text import APART, HEIGHT, NOTE, WIDTH, LineText
from bench.report.page import asset, environment, policy


def render_histories_html(lines: tuple[LineText, ...]) -> str:
    """All lines as one HTML document; names from results are escaped."""
    style = asset("report.css")
    return (
        environment()
        .get_template("history.html.j2")
        .render(lines=lines, note=NOTE, apart=APART, width=WIDTH, height=HEIGHT, style=style, policy=policy(style))
    )
