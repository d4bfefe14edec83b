"""``--crbench-baseline`` and ``--crbench-update-baseline``."""

import json
import shutil

import pytest

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


def test_a_baseline_of_an_older_version_is_refused_and_renewed(measured):
    file = measured.folder / "kept.json"
    file.write_text(json.dumps({"crbench_baseline": 1, "suite": "mine", "cells": []}))
    shown = measured.pytest(*CHOSEN, expect=2)
    assert "a baseline of version 1, this program reads 2" in shown
    measured.pytest(*CHOSEN[:2], "--crbench-update-baseline", expect=1)  # its gates fail, and are accepted so
    assert measured.json("kept.json")["crbench_baseline"] == 2
    assert (measured.folder / "kept.npz").is_file()


def test_nothing_is_accepted_of_a_part(measured):
    before = (measured.folder / "kept.json").read_bytes()
    measured.suite(("rounds = 5", "rounds = 6"), ("max_harm = 0.1", "max_harm = 0.2"))
    shown = measured.pytest(*CHOSEN[:2], "-k", "close and accuracy", "--crbench-update-baseline", expect=1)
    assert "1 passed, 5 deselected" in shown
    assert "baseline not renewed: mine.toml: 2 of 6 cells were not measured or failed" in shown
    assert (measured.folder / "kept.json").read_bytes() == before
    shown = measured.pytest("suites/mine.toml", "--crbench-update-baseline", expect=4)
    assert "--crbench-update-baseline needs --crbench-baseline FILE" in shown


def test_a_folder_holds_one_baseline_for_every_suite(measured):
    measured.suite(('name = "mine"', 'name = "other"'), ('name = "far"', 'name = "further"'), name="other.toml")
    both = ("suites/mine.toml", "suites/other.toml", "--crbench-baseline=baselines")
    shown = measured.pytest(*both, "--crbench-update-baseline", "-k", "not cost", expect=1)
    for name in ("mine", "other"):
        assert f"baselines/{name}.json: 2 cells added, 0 changed, 0 removed" in shown
        assert measured.json(f"baselines/{name}.json")["suite"] == name

    shutil.copy(measured.folder / "far.onnx", measured.folder / "close.onnx")
    shown = measured.pytest(*both, "-k", "accuracy or covered", expect=1)
    assert "against the baseline: 4 regressed, 2 same" in shown  # beside the reference too
    assert "2 failed, 4 passed" in shown  # both are covered

    (measured.folder / "baselines" / "other.json").unlink()
    shown = measured.pytest(*both, "-k", "accuracy", expect=2)
    assert "suites/other.toml: baselines/other.json: is no file; --crbench-update-baseline writes it" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(("name", "file"), [("mine", "folder"), ("other", "one.json")])
def test_two_suites_never_write_one_file(measured, name, file):
    measured.suite(('name = "mine"', f'name = "{name}"'), name="other.toml")
    both = ("suites/mine.toml", "suites/other.toml", f"--crbench-baseline={file}", "--crbench-update-baseline")
    shown = measured.pytest(*both, "--collect-only", expect=2)
    assert "cannot be the baseline of this suite and of suites/mine.toml; name a folder" in shown


def test_strict_fails_what_is_open_beside_the_baseline(measured):
    shutil.copy(measured.folder / "seed0.onnx", measured.folder / "close.onnx")
    chosen = ("suites/mine.toml::close-edge-fidelity.accuracy", CHOSEN[1])
    shown = measured.pytest(*chosen)
    assert "against the baseline: 1 inconclusive (--crbench-strict fails them)" in shown
    shown = measured.pytest(*chosen, "--crbench-strict", expect=1)
    assert "(max_harm, inconclusive)" in shown
    assert "1 inconclusive (they fail)" in shown
