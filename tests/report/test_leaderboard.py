"""The leaderboard holds the numbers of the results, and enums; nothing in it is text made for reading."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from bench.report.leaderboard import Mark, MissingKind, State, leaderboard
from bench.results import FamilyResult, Results, ValueReference


def row_of(results: Results, variant: str, target: str):  # type: ignore[no-untyped-def]
    return next(row for row in leaderboard(results).rows if (row.variant, row.target) == (variant, target))


def test_harms_are_the_numbers_of_the_results(sample_run):
    board = leaderboard(sample_run)
    assert [(column.value, column.apart) for column in board.columns[:3]] == [
        ("accuracy", ()), ("robust_error", (("epsilon", 0.1),)), ("robust_error", (("epsilon", 0.05),)),
    ]  # fmt: skip
    for row in board.rows:
        for column, harm in zip(board.columns, row.harms, strict=True):
            value = column.of(row.cells)
            if value is None:
                assert harm.status != "ok"
                assert harm.estimate is None
            else:
                assert (harm.estimate, (harm.low, harm.high)) == (value.estimate, value.ci or (None, None))
    harm = row_of(sample_run, "prune30-finetune", "torch").harms[1]
    assert harm.mark is Mark.FAILED
    assert harm.estimate == pytest.approx(0.061)


def test_states_and_gaps_are_enums_and_numbers(sample_run):
    board = leaderboard(sample_run)
    assert {row.state for row in board.rows} == set(State)
    assert len(board.those(State.SHIP)) == 3
    assert [cell for row in board.rows for cell in row.cells] == sample_run.cells
    for row, variant in zip(board.rows, sample_run.variants, strict=True):
        for name, gap in zip(board.families, row.gaps, strict=True):
            family = variant.families[name]
            assert (gap.gap, gap.alarm, gap.headline) == (family.gap, family.alarm, family.headline)
            assert gap.band is None or gap.band == (min(gap.yardsticks), max(gap.yardsticks))
    assert (board.yardsticks, board.yardstick_kind) == (4, "retrained")
    assert row_of(sample_run, "ptq8", "torch").size.ratio == pytest.approx(105 / 104)
    assert [row.size.ratio for row in board.references] == [1.0, 1.0]


def test_what_is_missing_points_to_rows(sample_run):
    board = leaderboard(sample_run)
    assert [item.kind for item in board.missing] == [MissingKind.ERROR, MissingKind.SKIPPED]
    error, skipped = board.missing
    (index,) = error.rows
    assert (board.rows[index].variant, error.what) == ("control-noise", ("attribution.ig",))
    assert all(board.rows[index].target == "edge" for index in skipped.rows)


@pytest.mark.parametrize(("params", "band"), [({"epsilon": 0.1, "steps": 20}, True), ({"epsilon": 0.2}, False)])
def test_the_band_is_of_the_headline_with_its_parameters(sample_run, params, band):
    run = sample_run.model_copy(deep=True)
    headline = ValueReference(metric="adversarial.pgd", params=params, value="verdict_flip_rate")
    run.variants[0].families["adversarial"] = FamilyResult(headline=headline, gap=0.5)
    gap = next(gap for gap in leaderboard(run).rows[0].gaps if gap.family == "adversarial")
    assert (gap.band is not None) == band


def test_it_is_frozen(sample_run):
    with pytest.raises(FrozenInstanceError):
        leaderboard(sample_run).suite = "other"  # type: ignore[misc]
