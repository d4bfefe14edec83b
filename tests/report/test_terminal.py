from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.report.board_text import board_text
from bench.report.leaderboard import leaderboard
from bench.report.terminal import render


def printed(run, width: int, encoding: str = "utf-8", colour: bool = False) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render(run, Console(file=stream, width=width, force_terminal=colour, color_system="truecolor" if colour else None))
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_nothing_is_wider_than_the_terminal_or_cut(sample_run, width):
    text = printed(sample_run, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 100])
def test_the_figures_are_those_of_the_board(sample_run, width):
    text = printed(sample_run, width)
    for row in board_text(leaderboard(sample_run)).rows:
        for figure in (row.harms[0], row.harms[1], *(gap.figure for gap in row.gaps)):
            assert figure.value in text
            assert figure.interval in text or figure.interval.split()[1] in text  # folded at its blank
        assert row.name in text.replace("-\n", "-") or row.name.split("-")[0] in text


def test_the_last_words_are_the_verdict(sample_run):
    words = " ".join(printed(sample_run, 100).split())
    assert words.endswith(f"✗ {sample_run.verdict.because}")
    verdicts = words.partition(" Verdict ")[2]
    for row in board_text(leaderboard(sample_run)).rows:
        assert row.label in verdicts
        assert row.reason in verdicts
    assert "✓ may ship: fold (torch), fold (edge), ptq8 (torch): it passes all 3 gates" in verdicts
    assert "✗ do not ship: prune30-finetune (torch): robust error (epsilon 0.1) +6.1 points [4.0, 8.4]" in verdicts


def test_missing_cells_and_alarms_are_listed(sample_run):
    words = " ".join(printed(sample_run, 80).split())
    assert "error: attribution.ig on control-noise (torch): RuntimeError: integrated gradients are not finite" in words
    assert "skipped: lipschitz.local, adversarial.pgd, attribution.ig on prune30 (edge)" in words
    assert "! prune30 (torch) fidelity: Jensen-Shannon divergence at least 1.6 of one more yardstick" in words
    assert "! ptq8" not in words


def test_few_samples_are_said(sample_run):
    assert "cover some" not in printed(sample_run, 100)
    few = sample_run.model_copy(deep=True)
    for cell in few.cells:
        cell.n = 120
    assert "with n = 120, 95 % intervals of resampled harms cover some 93 %" in printed(few, 100)


def test_columns_that_do_not_fit_are_named(sample_run):
    words = " ".join(printed(sample_run, 80).split())
    assert "not shown in this width: robust error (epsilon 0.05), NLL, ECE" in words
    assert "not shown" not in printed(sample_run, 160)


def test_colour_adds_nothing_but_colour(sample_run):
    import re

    coloured = printed(sample_run, 100, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(sample_run, 100)


def test_a_terminal_without_unicode_gets_ascii(sample_run):
    text = printed(sample_run, 80, encoding="ascii")
    assert "x do not ship" in text
    assert "?" in text
    assert text.isascii()


def test_names_cannot_steer_the_terminal(hostile_run):
    text = printed(hostile_run, 100)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in "".join(text.split())  # shown, not obeyed


def test_brackets_in_names_are_shown_everywhere(sample_run):
    run = sample_run.model_copy(deep=True)
    run.suite.name, run.verdict.because = "[red]suite", "[red]whole"
    run.variants[0].verdict.because, run.cells[-1].status, run.cells[-1].reason = "[red]one", "error", "[red]cell"
    text = printed(run, 100)
    for word in ("suite", "whole", "one", "cell"):
        assert f"[red]{word}" in text


def test_an_empty_run(empty_run):
    assert "undecided" in printed(empty_run, 80)


def test_twins_stand_there_with_their_parity(sample_run, empty_run):
    words = " ".join(printed(sample_run, 100).split())
    assert "fold (edge): largest logit difference 1.0 of the output's step, same class on 63 of 64 samples" in words
    assert "Twins" not in printed(empty_run, 100)
