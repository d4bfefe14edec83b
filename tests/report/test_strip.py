"""The strip of a gap: what the template draws of it, and its words."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bench.report.board_text import GapText
from bench.report.figures import gap
from bench.report.leaderboard import GapEntry
from bench.report.page import environment
from bench.report.strip import LEFT, RIGHT, position, strip_words
from bench.report.yardsticks import YARDSTICKS


def drawn(number, limits, band=None) -> dict[str, tuple[float, ...]]:
    """The parts of the drawing by their names, with their horizontal positions."""
    macro = environment().get_template("leaderboard.html.j2").module.strip
    svg = str(macro(*(limits or (None, None)), number, band, position(1.0), "words"))
    parts = re.findall(r'<\w+ class="(\w+)"([^>]*)>', svg)
    return {
        name: tuple(float(text) for text in re.findall(r'(?:x|x1|x2|cx|width)="([\d.]+)%"', rest))
        for name, rest in parts
        if name != "strip"
    }


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_positions_keep_order_and_stay_on_the_strip(first, second):
    low, high = sorted((position(first), position(second)))
    assert LEFT <= low <= high <= RIGHT
    assert (position(min(first, second)), position(max(first, second))) == (low, high)


def test_an_ordinary_gap_has_point_and_interval():
    parts = drawn(0.5, (0.25, 1.0), band=(0.8, 1.2))
    assert parts["point"] == (position(0.5),)
    assert parts["span"] == (position(0.25), position(1.0))
    assert parts["band"] == (position(0.8), round(position(1.2) - position(0.8), 2))
    assert parts["one"] == (position(1.0), position(1.0))
    assert not {"end", "beyond"} & set(parts)


def test_an_upper_limit_reaches_from_zero_to_a_stroke_and_has_no_point():
    parts = drawn(0.3, (None, 0.3))
    assert parts["span"] == (position(0), position(0.3))
    assert parts["end"] == (position(0.3), position(0.3))
    assert "point" not in parts


def test_beyond_the_end_an_arrow_says_so():
    assert "beyond" in drawn(3.0, (2.5, 5.0))
    parts = drawn(1.5, (1.0, 5.0))
    assert parts["span"] == (position(1.0), RIGHT)
    assert "beyond" in parts
    assert parts["point"] == (position(1.5),)


def test_a_point_alone_has_no_interval():
    parts = drawn(0.7, None)
    assert parts["point"] == (position(0.7),)
    assert not {"span", "end", "beyond"} & set(parts)


def test_words_say_what_is_drawn():
    def words(number, limits, band=()) -> str:
        low, high = limits or (None, None)
        numbers = GapEntry("fidelity", gap=number, low=low, high=high, yardsticks=band)
        return strip_words(GapText("fidelity", "JS", gap(number, limits), "", numbers), YARDSTICKS["retrained"])

    assert words(None, (None, 0.3)) == "fidelity: gap ≤ 0.30"
    assert words(0.5, (0.25, 1.0), band=(0.8, 1.2)).endswith("lie between 0.80 and 1.20")
    assert words(None, None) == "fidelity: no gap"
