"""Suites as pytest items: names, markers, outcomes, properties, benchmarks."""

import pytest

METRICS = ("fidelity.accuracy", "fidelity.predictions", "cost-rounds5-warmup1")
CELLS = [f"{variant}-edge-{metric}" for variant in ("close", "far") for metric in METRICS]
IMPORTED = """
import sys

def pytest_sessionfinish():
    print("imported", [name for name in ("numpy", "torch", "onnxruntime", "bench.engine.run") if name in sys.modules])
"""


def test_collecting_measures_nothing_and_imports_no_torch(fresh):
    (fresh.folder / "conftest.py").write_text(IMPORTED)
    shown = fresh.pytest("suites/mine.toml", "--collect-only", "-q")
    assert [line.partition("::")[2] for line in shown.splitlines() if "::" in line] == CELLS
    assert "imported ['numpy', 'bench.engine.run']" in shown
    assert not (fresh.folder / ".crbench").exists()


def test_what_fails_says_why_and_shows_no_traceback(measured):
    shown = (measured.folder / "output.txt").read_text()
    assert "5 passed" in shown
    assert "1 failed" in shown
    failure = shown[shown.index("= FAILURES") : shown.index("= PASSES")]
    lines = [line.strip() for line in failure.splitlines()[2:] if line.strip() and not line.startswith("=")]
    assert lines[0] == "far on edge, fidelity.accuracy: do not ship"
    assert lines[1].startswith("accuracy: +")
    assert lines[1].endswith("tolerance 10 (max_harm, failed)")
    assert lines[2] == "look closer: crbench run suites/mine.toml --only far/edge/fidelity.accuracy"
    assert "Traceback" not in shown
    assert "pytest_plugin" not in shown
    assert "against the reference: 1 failed, 1 passed" in shown


def test_properties_hold_value_interval_gap_and_verdict(measured):
    found = measured.cases()
    assert sorted(found) == sorted(CELLS)
    kind, _, said = found["close-edge-fidelity.accuracy"]
    assert kind == "passed"
    assert (said["variant"], said["target"], said["metric"], said["n"]) == ("close", "edge", "fidelity.accuracy", "400")
    assert float(said["accuracy.value"]) == pytest.approx(float(said["accuracy.reference"]), abs=0.05)
    assert said["accuracy.interval"].startswith("[")
    assert said["accuracy.max_harm"].startswith("passed: ")
    assert said["verdict"] == "passed"
    assert found["far-edge-fidelity.accuracy"][2]["verdict"] == "failed"
    assert found["close-edge-fidelity.predictions"][2]["verdict"] == "not gated"


def test_benchmarks_are_real_forward_passes_with_the_figures_beside_them(measured):
    found = {item["name"]: item for item in measured.json("b.json")["benchmarks"]}
    assert sorted(found) == ["close-edge-cost-rounds5-warmup1", "far-edge-cost-rounds5-warmup1"]
    item = found["far-edge-cost-rounds5-warmup1"]
    assert item["params"] == {"variant": "far", "target": "edge", "metric": "cost"}
    assert item["stats"]["rounds"] > 5
    assert 1e-7 < item["stats"]["median"] < 1
    assert item["extra_info"]["figures"]["file_bytes"]["value"] == (measured.folder / "far.onnx").stat().st_size
    quality = item["extra_info"]["quality"]
    said = measured.cases()["far-edge-fidelity.accuracy"][2]
    assert quality["far-edge-fidelity.accuracy"]["accuracy"]["value"] == float(said["accuracy.value"])
    shown = (measured.folder / "output.txt").read_text()
    assert "benchmark 'variant=close': 1 tests" in shown
    assert "benchmark 'variant=far': 1 tests" in shown


def test_only_what_is_chosen_is_measured(fresh):
    shown = fresh.pytest("suites/mine.toml", "-k", "close and accuracy", "-m", "fidelity and edge and not slow")
    assert "1 passed, 5 deselected" in shown
    assert fresh.cells() == 1


def test_inconclusive_is_counted_and_fails_when_strict(measured):
    before = measured.cells()
    estimate = float(measured.cases()["far-edge-fidelity.accuracy"][2]["accuracy.estimate"])
    measured.suite(("max_harm = 0.1", f"max_harm = {estimate:.3f}"))
    shown = measured.pytest("suites/mine.toml::far-edge-fidelity.accuracy", "--junitxml=j.xml")
    assert "1 passed" in shown
    assert "against the reference: 1 inconclusive (--crbench-strict fails them)" in shown
    assert measured.cells() == before
    assert measured.cases()["far-edge-fidelity.accuracy"][2]["reused"] == "True"

    chosen = ("-k", "far and (accuracy or cost)", "-p", "no:benchmark")
    shown = measured.pytest("suites/mine.toml", *chosen, "--crbench-strict", expect=1)
    assert "(max_harm, inconclusive)" in shown
    assert "1 inconclusive (they fail)" in shown
    assert "1 failed, 1 passed" in shown
    assert "no latency history of 1 cost cells" in shown  # without pytest-benchmark


def test_errors_are_errors_and_cells_without_a_meaning_are_skipped(fresh):
    changes = ('onnx = "far.onnx"', 'onnx = "wide.onnx"'), ("bounds", 'classes = ["a", "b", "c"]\nbounds')
    labelled = ("[[metric]]", '[[metric]]\nuse = "uncertainty.calibration"\n\n[[metric]]')
    fresh.suite(*changes, unlabelled=True)
    suite = fresh.folder / "suites" / "mine.toml"
    suite.write_text(suite.read_text().replace(*labelled, 1))
    chosen = ("-k", "not cost", "--crbench-strict")
    shown = fresh.pytest("suites/mine.toml", *chosen, "--junitxml=j.xml", "-ra", expect=1)
    assert "1 failed, 1 passed, 1 skipped, 2 deselected, 3 errors" in shown
    found = fresh.cases()
    kind, text, said = found["close-edge-uncertainty.calibration"]
    assert (kind, said["status"]) == ("skipped", "skipped")
    assert "needs labels" in text
    line = suite.read_text().splitlines().index('name = "close"') + 1
    assert f"SKIPPED [1] suites/mine.toml:{line}: " in shown
    kind, text, said = found["close-edge-fidelity.accuracy"]
    assert (kind, said["status"]) == ("failure", "skipped")  # strict: its gate could not be judged
    for metric in ("fidelity.accuracy", "fidelity.predictions"):
        kind, text, said = found[f"far-edge-{metric}"]
        assert (kind, said["status"]) == ("error", "error")
        assert "4 classes" in text
        assert f"look closer: crbench run suites/mine.toml --only far/edge/{metric}" in text
    assert "Traceback" not in shown


def test_workers_share_a_variant_and_costs_say_that_they_were_not_timed(measured):
    shown = measured.pytest("suites/mine.toml", "-n", "2", "-v", "-rP", expect=1)
    places = {}
    for line in shown.splitlines():
        if line.startswith("[gw") and "suites/mine.toml::" in line:
            worker, name = line.split()[0], line.partition("::")[2]
            places.setdefault(name.partition("-")[0], set()).add(worker)
    assert {name: len(workers) for name, workers in places.items()} == {"close": 1, "far": 1}
    assert "no latency history: pytest-benchmark is off" in shown
    assert "taken while other workers ran" in shown
    assert "no latency history of 2 cost cells" in shown
    assert "against the reference: 1 failed, 1 passed" in shown
