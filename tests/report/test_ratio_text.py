"""Neighbouring variants in every report: who is told apart, by which numbers, and what is left open."""

from __future__ import annotations

import html
import io
import re

import pytest
from rich.console import Console

from bench.report.board_text import board_text
from bench.report.html import render_html
from bench.report.leaderboard import Order, leaderboard
from bench.report.leaderboard.ratios import RatioEntry, ratio_groups
from bench.report.ratio_text import ratio_sentence, ratio_texts, times
from bench.report.terminal import render
from bench.results import Results


def group_of(results: Results, family: str, target: str = "torch"):
    return next(group for group in ratio_groups(results) if (group.family, group.target) == (family, target))


def test_only_next_neighbours_stand_there_the_nearest_first(sample_run):
    group = group_of(sample_run, "fidelity")
    names = ["fold", "ptq8", "control-noise", "ptq4", "prune30-finetune", "prune30"]
    assert [(entry.first, entry.second) for entry in group.entries] == list(zip(names[1:], names, strict=False))
    assert [entry.order for entry in group.entries] == [
        Order.FURTHER, Order.FURTHER, Order.OPEN, Order.OPEN, Order.FURTHER,
    ]  # fmt: skip
    assert group.headline
    assert group.value.value == "js"


def test_the_order_is_that_of_the_gaps_on_the_board(sample_run):
    """A chain read from the nearest on never contradicts the gaps that stand in the table."""
    board = leaderboard(sample_run)
    for group in board.ratios:
        gaps = {
            row.variant: gap.gap if gap.gap is not None else gap.high
            for row in board.rows
            for gap in row.gaps
            if (row.target, gap.family) == (group.target, group.family)
        }
        assert all(gaps[entry.first] >= gaps[entry.second] for entry in group.entries)


def test_every_report_says_the_same(sample_run):
    output = io.StringIO()
    render(sample_run, Console(file=output, width=100))
    terminal = output.getvalue()
    page = html.unescape(render_html(sample_run))
    sentences = [line.sentence for group in board_text(leaderboard(sample_run)).ratios for line in group.lines]
    assert len(sentences) > 20
    for sentence in sentences:
        assert terminal.count(f"  {sentence}\n") >= 1
        assert re.search(rf"<li[^>]*>{re.escape(sentence)}</li>", page)
    assert "prune30 moved 2.56 [2.14, 3.08] times as far as prune30-finetune" in sentences
    assert "ptq4 and control-noise cannot be told apart: 1.15 [0.96, 1.39]" in sentences
    assert "ptq8 moved at least 370 times as far as fold" in sentences


def test_a_value_of_no_family_stands_behind(sample_run):
    other = sample_run.model_copy(deep=True)
    for item in other.variant_ratios:
        if item.family == "fidelity":
            item.value = "own"
    groups = ratio_groups(other)
    assert [group.headline for group in groups][-2:] == [False, False]
    output = io.StringIO()
    render(other, Console(file=output, width=100))
    assert "fidelity (torch): own" not in output.getvalue()
    assert "By measures that stand for no family" in render_html(other)
    assert "By measures that stand for no family" not in render_html(sample_run)


def test_replicates_are_named_and_a_common_reason_stands_once(sample_run):
    run = sample_run.model_copy(deep=True)
    for item in run.variant_ratios:
        item.replicate, item.ci, item.ratio, item.reason = None, None, None, "told replicate by replicate"
    (text,) = ratio_texts([group_of(run, "fidelity")])
    assert text.title == "fidelity (torch, all replicates): Jensen-Shannon divergence"
    assert [(line.order, line.sentence) for line in text.lines] == [(Order.UNKNOWN, "told replicate by replicate")]
    run.variant_ratios[0].replicate = 1
    assert ratio_texts([next(g for g in ratio_groups(run) if g.replicate)])[0].target == "torch, replicate 1"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (RatioEntry("a", "b", Order.OPEN, 1.0, 1.0, 1.0), "a and b cannot be told apart: 1.00 [1.00, 1.00]"),
        (RatioEntry("a", "b", Order.OPEN, None, 0.7, None), "a and b cannot be told apart: at least 0.70"),
        (RatioEntry("a", "b", Order.NEARER, None, None, 0.43), "a moved at most 0.43 times as far as b"),
        (RatioEntry("a", "b", Order.FURTHER, 2.0, 1.52, None), "a moved at least 1.5 times as far as b"),
        (RatioEntry("a", "b", Order.UNKNOWN, 1.8, None, None, "b differs in 5"), "a beside b: b differs in 5"),
        (RatioEntry("a", "b", Order.UNKNOWN), "a beside b: no ratio, and no reason was given"),
    ],
)  # fmt: skip
def test_sentences(entry, said):
    assert ratio_sentence(entry) == said


def test_what_is_sure_is_shown_so_and_no_digit_more_than_it_needs():
    assert times(1.0031, (1.0012, 1.0051), sure=True) == ("1.003", "[1.001, 1.005]")
    assert times(1.0031, (0.9991, 1.0072), sure=False) == ("1.00", "[1.00, 1.01]")
    assert times(0.0123, (0.0101, 0.0152), sure=True) == ("0.012", "[0.010, 0.015]")
    assert times(1234.5, (400.0, 5000.0), sure=True) == ("1230", "[400, 5000]")


def test_a_run_without_pairs_says_nothing(empty_run):
    assert leaderboard(empty_run).ratios == ()
    assert "h-ratios" not in render_html(empty_run)
