from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.report.board_text import board_text
from bench.report.html import render_html
from bench.report.leaderboard import leaderboard
from bench.report.terminal import render
from bench.results import Results, VariantResult, Verdict


def board(results):
    return board_text(leaderboard(results))


def test_every_variant_has_a_row_in_the_order_of_the_run(sample_run):
    shown = board(sample_run)
    assert [row.label for row in shown.rows] == [f"{v.name} ({v.target})" for v in sample_run.variants]
    assert [row.state for row in shown.rows].count("ship") == 3
    assert shown.headline == "3 of 11 may ship"


def test_gated_harms_come_first_and_those_without_interval_last(sample_run):
    titles = [column.title for column in board(sample_run).columns]
    assert titles == ["accuracy", "robust error (epsilon 0.1)", "robust error (epsilon 0.05)", "NLL", "ECE"]


def test_figures_stand_in_the_row_they_belong_to(sample_run):
    shown = board(sample_run)
    row = next(row for row in shown.rows if row.label == "prune30-finetune (torch)")
    assert str(row.harms[1]) == "+6.1 points [4.0, 8.4]"
    assert row.harms[1].mark == "failed"
    assert str(row.gaps[0].figure) == "0.94 [0.72, 1.22]"
    assert (str(row.size), str(row.latency)) == ("54.0 kB 0.52×", "0.160 ms 0.76×")
    assert row.steps == "structured-prune (ratio 0.3) → finetune"


def test_one_reason_is_told_once_for_all_it_holds_for(sample_run):
    groups = board(sample_run).reasons("open")
    assert sum(len(those) for _, those in groups) == 4
    ((_, broken),) = board(sample_run).reasons("error")
    assert len(broken) == 1
    (edge,) = [
        those for reason, those in groups if reason.startswith("robust error (epsilon 0.1), cosine distance skipped")
    ]
    assert [row.label for row in edge] == ["prune30-finetune (edge)", "ptq8 (edge)", "ort-int8 (edge)"]


def test_an_errored_variant_is_titled_so_in_every_report(sample_run):
    (row,) = board(sample_run).those("error")
    assert row.reason.endswith(next(cell.reason for cell in row.cells if cell.status == "error"))
    output = io.StringIO()
    render(sample_run, Console(file=output, width=100))
    shown = " ".join(output.getvalue().split())
    assert f"! error: {row.label}: " in shown
    html = render_html(sample_run)
    assert "! Error (1)</strong>" in html
    for text in (shown, html):
        assert f"undecided on {row.label}" not in text


def test_reference_figures_per_target(sample_run):
    torch, edge = board(sample_run).references
    assert (torch.target, torch.harms[0].value, torch.latency.value) == ("torch", "97.2 %", "0.210 ms")
    assert (edge.target, edge.latency.value) == ("edge", "0.0430 ms")


def test_nothing_missing_is_left_out(sample_run):
    notes = board(sample_run).notes
    lacking = {(c.metric, f"{c.variant} ({c.target})", c.status) for c in sample_run.cells if c.status != "ok"}
    told = {(what, where, note.kind) for note in notes for what in note.what.split(", ") for where in note.where}
    assert lacking
    assert lacking <= told
    assert [note.kind for note in notes] == ["error", "skipped"]
    assert all(note.reason and len(set(note.where)) == len(note.where) for note in notes)


def test_a_family_without_gap_is_told_with_its_reason(sample_run):
    run = sample_run.model_copy(deep=True)
    for variant in run.variants:
        family = variant.families["fidelity"]
        family.gap, family.gap_ci, family.reason = None, None, "only two yardsticks"
    (note,) = [note for note in board(run).notes if note.kind == "no gap"]
    assert (note.what, note.reason, len(note.where)) == ("fidelity", "only two yardsticks", 11)


def test_a_variant_without_cells_is_told(sample_run):
    run = sample_run.model_copy(update={"variants": [*sample_run.variants, VariantResult(name="lost", target="torch")]})
    note = next(note for note in board(run).notes if "lost (torch)" in note.where)
    assert (note.kind, note.reason) == ("error", "nothing was measured")


def test_the_band_is_where_the_yardsticks_lie(sample_run):
    row = next(row for row in board(sample_run).rows if row.label == "ptq4 (torch)")
    for gap in row.gaps:
        assert gap.numbers.band == pytest.approx((0.88, 1 / 0.88))


def test_the_band_is_that_of_the_headlines_own_parameters(sample_run):
    run = sample_run.model_copy(deep=True)
    cells = [c for c in run.cells if (c.variant, c.target, c.metric) == ("ptq4", "torch", "adversarial.pgd")]
    weak, strong = cells
    other = strong.values["verdict_flip_rate"].model_copy(
        update={"yardsticks": [0.05, 0.2], "yardstick_gaps": [0.5, 2.0]}
    )
    weak.values["verdict_flip_rate"] = other
    row = next(row for row in board(run).rows if row.label == "ptq4 (torch)")
    assert row.gaps[2].numbers.band == pytest.approx((0.88, 1 / 0.88))


def test_replicates_are_told_apart(sample_run):
    first = sample_run.variants[0]
    again = first.model_copy(update={"replicate": 1})
    whole = first.model_copy(update={"replicate": None})
    rows = board(sample_run.model_copy(update={"variants": [first, again, whole]})).rows
    assert [row.target for row in rows] == ["torch, replicate 0", "torch, replicate 1", "torch, all replicates"]
    assert rows[0].cells
    assert not rows[1].cells


def test_an_empty_run(empty_run):
    shown = board(empty_run)
    assert (shown.headline, shown.state, shown.rows, shown.columns) == ("nothing was measured", "open", (), ())


def test_without_gates_no_variant_is_said_to_fail(sample_run):
    run = sample_run.model_copy(deep=True)
    for cell in run.cells:
        for value in cell.values.values():
            value.gates = []
    for variant in run.variants:
        variant.verdict = Verdict()
    assert board(run).headline == "11 measured, no gate was set"


@pytest.mark.parametrize(
    ("kind", "words"), [("retrained", "retrained"), ("weight-noise", "substitute"), ("none", "no yardstick")]
)
def test_the_yardstick_is_named_for_what_it_is(sample_run, kind, words):
    run: Results = sample_run.model_copy(deep=True)
    run.reference.yardstick_kind = kind
    assert words in board(run).yardsticks
