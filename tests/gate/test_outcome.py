import pytest

from bench.gate import baseline_of, conclude, judge_baseline, judge_reference


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
    assert "1 told without a say" in concluded(make().add(outcomes(10)), second).closing


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
