"""``--crbench-baseline`` and ``--crbench-update-baseline``."""

import shutil

CHOSEN = ("suites/mine.toml", "--crbench-baseline=kept.json", "-k", "not cost")


def test_a_baseline_is_accepted_kept_and_catches_what_became_worse(measured):
    shown = (measured.folder / "output.txt").read_text()
    assert "kept.json: 2 cells added, 0 changed, 0 removed" in shown
    assert measured.json("kept.json")["suite"] == "mine"

    shutil.copy(measured.folder / "far.onnx", measured.folder / "close.onnx")
    shown = measured.pytest(*CHOSEN, "--junitxml=j.xml", expect=1)
    failure = shown[shown.index("= FAILURES") :]
    assert "close on edge, fidelity.accuracy: do not ship" in failure
    assert "surely worse than the baseline (max_harm, regressed)" in failure
    assert "far on edge" not in failure  # what failed in the baseline too is no regression
    assert measured.cases()["far-edge-fidelity.accuracy"][2]["accuracy.baseline"] == "same: the same measurement"
    assert "against the baseline: 2 regressed, 1 same" in shown  # beside the baseline, and beside the reference


def test_a_baseline_that_is_not_covered_or_of_another_suite_fails(measured):
    measured.suite(('name = "far"', 'name = "further"'))
    shown = measured.pytest(*CHOSEN[:2], "-k", "covered or further and accuracy", expect=1)
    assert "1 cells of the baseline are not in the suite:" in shown
    assert "far/edge/fidelity.accuracy" in shown
    measured.suite(('name = "mine"', 'name = "yours"'))
    shown = measured.pytest(*CHOSEN, expect=2)
    assert "suites/mine.toml: kept.json: is of the suite 'mine', not of 'yours'" in shown


def test_nothing_is_accepted_of_a_part(fresh):
    shown = fresh.pytest(*CHOSEN[:2], "-k", "close and accuracy", "--crbench-update-baseline", expect=1)
    assert "baseline not renewed: mine.toml: 5 of 6 cells were not measured or failed" in shown
    assert not (fresh.folder / "kept.json").exists()
    shown = fresh.pytest("suites/mine.toml", "--crbench-update-baseline", expect=4)
    assert "--crbench-update-baseline needs --crbench-baseline FILE" in shown
