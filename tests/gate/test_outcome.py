import pytest

from bench.gate import baseline_of, conclude, judge_baseline, judge_reference
from bench.results import CellRecord, GateResult, ValueResult


def concluded(first, second, strict=False):
    results, samples = second.run()
    return conclude(results, judge_baseline(results, samples, baseline_of(*first.run())), "a run", strict=strict)


@pytest.mark.parametrize(
    ("after", "strict", "code"),
    [(10, False, 0), (10, True, 0), (60, False, 1), (60, True, 1), (18, False, 0), (18, True, 1)],
)
def test_codes(make, outcomes, after, strict, code):
    found = concluded(make().add(outcomes(10)), make(key="2").add(outcomes(after)), strict)
    assert found.exit_code == code


def test_an_inconclusive_value_is_counted_in_the_closing_line(make, outcomes):
    found = concluded(make().add(outcomes(10)), make(key="2").add(outcomes(18)))
    assert found.closing == "passed: 1 inconclusive; 1 not shown to be no worse (--strict fails them)"


def test_incomplete_goes_before_regression(make, outcomes):
    first = make().add(outcomes(10)).add(outcomes(10), variant="gone")
    found = concluded(first, make(key="2").add(outcomes(90)))
    assert found.exit_code == 3
    assert [item.verdict for item in found.judgements] == ["regressed", "missing"]
    assert found.closing.startswith("incomplete: 1 regressed, 1 missing")


def test_nothing_ran_and_nothing_judged_never_pass(make, outcomes):
    assert concluded(make().add(outcomes(10)), make()).exit_code == 3
    broken = make(key="2").add(outcomes(10), status="error", reason="x")
    assert concluded(make().add(outcomes(10)), broken).exit_code == 3
    assert concluded(make().add(outcomes(10), gates=[]), make().add(outcomes(10), gates=[])).exit_code == 3
    results, _ = make().add(outcomes(10), gates=[]).run()
    assert conclude(results, [], "nothing").exit_code == 3


def test_something_new_has_a_say_only_when_strict(make, outcomes):
    second = make().add(outcomes(10)).add(outcomes(10), variant="new")
    assert concluded(make().add(outcomes(10)), second).exit_code == 0
    assert concluded(make().add(outcomes(10)), second, strict=True).exit_code == 3
    assert "1 reported only" in concluded(make().add(outcomes(10)), second).closing


def with_skip(make, outcomes, reason="differs by 0.3", status="skipped", key="2", **more):
    """A measured cell, and one that a gate waits for in vain."""
    made = make(key=key).add(outcomes(10)).add(outcomes(10), variant="s", status=status, reason=reason, **more)
    gate = GateResult(rule="max_harm", tolerance=0.1, verdict="inconclusive", because="x", looked=False)
    made.cells[-1].values["figure"] = ValueResult(kind="quality", gates=[gate])
    return made


@pytest.mark.parametrize("strict", [False, True])
def test_a_skip_decides_until_the_baseline_accepts_it(make, outcomes, strict):
    plain = make().add(outcomes(10))
    skipped = with_skip(make, outcomes)
    found = concluded(plain, skipped, strict)
    assert found.exit_code == 3
    assert "accept a skip by name: not_applicable in the suite, or crbench baseline accept" in found.closing
    again = concluded(skipped, with_skip(make, outcomes, "differs by 0.4", key="3"), strict)
    assert again.exit_code == 0
    assert [(item.variant, item.verdict, item.decides) for item in again.judgements] == [
        ("s", "accepted", False), ("v", "same", True)
    ]  # fmt: skip
    assert again.closing == "passed: 1 accepted, 1 same"
    other = concluded(skipped, with_skip(make, outcomes, "no input gradient", key="3"), strict)
    assert other.exit_code == 3
    assert "accepted was another reason: differs by 0.3" in other.judgements[0].because


def test_an_accepted_skip_covers_no_error_no_absence_and_no_measured_cell(make, outcomes):
    skipped = with_skip(make, outcomes)
    assert concluded(skipped, with_skip(make, outcomes, status="error")).exit_code == 3
    assert concluded(skipped, make().add(outcomes(10))).exit_code == 3
    measured = make().add(outcomes(10)).add(outcomes(10), variant="s")
    assert concluded(measured, skipped).exit_code == 3  # it could be measured before
    assert concluded(skipped, measured).exit_code == 0  # and now it is: told, to be accepted


def test_gates_without_a_baseline_ask_for_the_skipped_cell(make, outcomes):
    results, _ = with_skip(make, outcomes).run()
    for strict in (False, True):
        found = conclude(results, judge_reference(results), "the reference", strict=strict)
        assert (found.exit_code, found.judgements[0].verdict) == (3, "missing")
    results.cells[-1].values["figure"].gates[0].verdict = "accepted"
    for strict in (False, True):
        found = conclude(results, judge_reference(results), "the reference", strict=strict)
        assert (found.exit_code, found.closing) == (0, "passed: 1 accepted, 1 same")


def test_what_a_run_left_out_is_named_and_never_passes(make, outcomes):
    results, samples = make().add(outcomes(10)).run()
    results.left_out = [CellRecord(variant="gone", target="edge", metric="made.up")]
    known = baseline_of(*make().add(outcomes(10)).run())
    for judgements in (judge_reference(results), judge_baseline(results, samples, known)):
        found = conclude(results, judgements, "x")
        assert found.exit_code == 3
        assert "1 gated cell was left out by --only or --shard: gone (edge)" in found.closing


def test_timings_of_another_machine_are_told_and_do_not_decide(make, outcomes):
    def run(machine):
        return make(key=machine).add(outcomes(9)).add(
            outcomes(9) + 1, variant="t", form="timing", reference=outcomes(9) + 1, gates=[], machine=machine
        )  # fmt: skip

    results, samples = run("b").run()
    known = baseline_of(*run("a").run(), timings=True)
    for strict in (False, True):
        found = conclude(results, judge_baseline(results, samples, known), "x", strict=strict)
        assert found.exit_code == 0
        assert "1 incomparable" in found.closing


@pytest.mark.parametrize(
    ("verdict", "strict", "code"),
    [("passed", True, 0), ("failed", False, 1), ("inconclusive", False, 0), ("inconclusive", True, 1)],
)
def test_gates_against_the_reference(make, outcomes, verdict, strict, code):
    results, _ = make().add(outcomes(9), verdict=verdict).run()
    assert conclude(results, judge_reference(results), "the reference", strict=strict).exit_code == code
