"""Suites as pytest items: names, markers, outcomes, properties, benchmarks."""

import shlex
import subprocess
import sys

import pytest

NETWORKS = """
name = "networks"
[data]
loader = "digits"
evaluation = 60
calibration = 64
[reference]
model = "mlp"
hidden = [4]
recipe = { epochs = 1 }
[[target]]
name = "torch"
[[target]]
name = "edge"
runtime = "onnxruntime"
[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]
[[variant]]
name = "exported"
steps = [{ use = "onnx-export" }]
[[metric]]
use = "fidelity.accuracy"
"""
ABSENT = """
import sys

sys.modules |= dict.fromkeys(("pytest_benchmark", "xdist", "execnet"))
"""
METRICS = ("fidelity.accuracy", "fidelity.predictions", "cost-rounds5-warmup1")
CELLS = [f"{variant}-edge-{metric}" for variant in ("close", "far") for metric in METRICS]
IMPORTED = """
import sys

def pytest_sessionfinish():
    print("imported", [name for name in ("numpy", "torch", "onnxruntime", "bench.engine.run") if name in sys.modules])
"""


def test_collecting_measures_nothing_and_imports_no_torch(fresh):
    (fresh.folder / "conftest.py").write_text(IMPORTED)
    shown = fresh.pytest("suites/mine.toml", "--collect-only", "-q", imported=False)
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
    command = [sys.executable, "-m", "bench", *shlex.split(lines[2])[3:], "--quiet"]
    assert subprocess.run(command, cwd=measured.folder, check=False).returncode == 0  # as it is printed
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


def test_only_what_is_chosen_is_measured_and_a_store_elsewhere_keeps_it(fresh, tmp_path):
    store = tmp_path / "else where"
    chosen = ("suites/mine.toml", "-k", "close and accuracy", "-m", "fidelity and edge and not slow")
    chosen += (f"--crbench-store=file://{store}", "--junitxml=j.xml")
    found = []
    for reused in ("False", "True"):
        shown = fresh.pytest(*chosen)
        assert "1 passed, 5 deselected" in shown
        assert len(list((store / "cells").rglob("*.json"))) == 1
        (said,) = [said for _, _, said in fresh.cases().values()]
        assert said.pop("reused") == reused
        found.append(said)
    assert found[0] == found[1]
    assert not (fresh.folder / ".crbench").exists()


def test_inconclusive_is_counted_and_fails_when_strict(measured):
    before = measured.cells()
    estimate = float(measured.cases()["far-edge-fidelity.accuracy"][2]["accuracy.estimate"])
    measured.suite(("max_harm = 0.1", f"max_harm = {estimate:.3f}"))
    shown = measured.pytest("suites/mine.toml::far-edge-fidelity.accuracy", "--junitxml=j.xml")
    assert "1 passed" in shown
    assert "against the reference: 1 inconclusive (--crbench-strict fails them)" in shown
    assert measured.cells() == before
    assert measured.cases()["far-edge-fidelity.accuracy"][2]["reused"] == "True"

    (measured.folder / "absent.py").write_text(ABSENT)
    (measured.folder / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = -p absent\n")
    without = [f"-pno:{name}" for name in ("benchmark", "xdist", "xdist.looponfail")]
    chosen = ("-k", "far and (accuracy or cost)", "--junitxml=j.xml", *without)
    shown = measured.pytest("suites/mine.toml", *chosen, "--crbench-strict", expect=1)
    assert float(measured.cases()["far-edge-cost-rounds5-warmup1"][2]["latency_median.value"]) > 0
    assert "(max_harm, inconclusive)" in shown
    assert "1 inconclusive (they fail)" in shown
    assert "1 failed, 1 passed" in shown
    assert "no latency history of 1 cost cells" in shown  # without pytest-benchmark


def test_errors_are_errors_and_cells_without_a_meaning_are_skipped(fresh):
    changes = ('onnx = "far.onnx"', 'onnx = "wide.onnx"'), ("bounds", 'classes = ["a", "b", "c"]\nbounds')
    labelled = ("[[metric]]", '[[metric]]\nuse = "uncertainty.temperature"\n\n[[metric]]')
    fresh.suite(*changes, unlabelled=True)
    suite = fresh.folder / "suites" / "mine.toml"
    suite.write_text(suite.read_text().replace(*labelled, 1))
    chosen = ("-k", "not cost", "--crbench-strict")
    shown = fresh.pytest("suites/mine.toml", *chosen, "--junitxml=j.xml", "-ra", expect=1)
    assert "1 failed, 1 passed, 1 skipped, 2 deselected, 3 errors" in shown
    found = fresh.cases()
    kind, text, said = found["close-edge-uncertainty.temperature"]
    assert (kind, said["status"]) == ("skipped", "skipped")
    assert "needs labels" in text
    line = suite.read_text().splitlines().index('name = "close"') + 1
    assert f"SKIPPED [1] suites/mine.toml:{line}: " in shown
    kind, text, said = found["close-edge-fidelity.accuracy"]
    assert (kind, said["status"]) == ("failure", "skipped")  # its gate was not looked at
    assert "close on edge, fidelity.accuracy: skipped" in text
    advice, *_ = [line for line in text.splitlines() if "not_applicable" in line]
    assert advice.strip() == 'accept it by name in the suite: not_applicable = ["close/edge/fidelity.accuracy"]'
    assert "against the reference: 1 errored, 1 missing" in shown
    for metric in ("fidelity.accuracy", "fidelity.predictions"):
        kind, text, said = found[f"far-edge-{metric}"]
        assert (kind, said["status"]) == ("error", "error")
        assert "4 classes" in text
        assert f"look closer: crbench run suites/mine.toml --only far/edge/{metric}" in text
    assert "Traceback" not in shown
    shown = fresh.pytest("suites/mine.toml", "-k", "close and not cost", expect=1)
    assert "1 failed, 1 passed, 1 skipped, 5 deselected" in shown
    suite.write_text(advice.partition(": ")[2] + "\n" + suite.read_text())  # the advice works as it is printed
    for strict in ((), ("--crbench-strict",)):
        shown = fresh.pytest("suites/mine.toml", "-k", "close and not cost", *strict)
        assert "1 passed, 2 skipped, 5 deselected" in shown
        assert "against the reference: 1 accepted" in shown
    shown = fresh.pytest("suites/mine.toml", "-k", "far and accuracy", expect=1)
    assert "1 error" in shown  # never covered by a pattern


def test_workers_share_a_variant_and_costs_say_that_they_were_not_timed(measured):
    before = measured.cases()
    (measured.folder / "j.xml").unlink()
    shown = measured.pytest("suites/mine.toml", "-n", "2", "-v", "-rP", "--junitxml=j.xml", expect=1)
    places = {}
    for line in shown.splitlines():
        if line.startswith("[gw") and "suites/mine.toml::" in line:
            worker, name = line.split()[0], line.partition("::")[2]
            places.setdefault(name.partition("-")[0], set()).add(worker)
    assert {name: len(workers) for name, workers in places.items()} == {"close": 1, "far": 1}
    assert "no latency history: pytest-benchmark is off" in shown
    assert "taken while other workers ran" in shown
    assert "no latency history of 2 cost cells" in shown
    after = measured.cases()
    assert sorted(after) == sorted(before)
    for name, (kind, _, said) in after.items():  # every item once, with what one process says of it
        assert kind == before[name][0]
        assert said == {**before[name][2], "reused": "True"}
    assert "against the reference: 1 failed, 1 passed" in shown


def test_only_benchmarks_or_all_but_benchmarks(measured):
    short = ("suites/mine.toml", "-k", "close", "-rs", "--benchmark-max-time=0.02")
    shown = measured.pytest(*short, "--benchmark-only", "--crbench-store=new")
    assert "1 passed, 2 skipped, 3 deselected" in shown
    assert "close-edge-cost-rounds5-warmup1" in shown[shown.index("- benchmark: 1 tests") :]
    assert len(list((measured.folder / "new" / "cells").rglob("*.json"))) == 1  # what is skipped is not measured
    shown = measured.pytest(*short, "--benchmark-skip")
    assert "2 passed, 1 skipped, 3 deselected" in shown
    assert "Skipping benchmark (--benchmark-skip active)" in shown


def test_a_device_that_is_not_there_is_one_line(fresh):
    fresh.suite(name="networks.toml", text=NETWORKS)
    shown = fresh.pytest("suites/networks.toml::noise-torch-fidelity.accuracy", "--crbench-device=mps:3", expect=1)
    assert "1 error" in shown
    error = shown[shown.index("= ERRORS") : shown.index("= short test summary")]
    (line,) = [line for line in error.splitlines()[1:] if not line.startswith(("_", "="))]
    assert line.startswith("device: 'mps:3' is not available to torch ")
    assert not (fresh.folder / ".crbench").exists()  # nothing was trained for it


def test_what_needs_an_accelerator_is_marked(fresh):
    accelerated = ('runtime = "onnxruntime"', 'runtime = "onnxruntime"\nprovider = "CUDAExecutionProvider"')
    fresh.suite(accelerated)
    fresh.suite(name="networks.toml", text=NETWORKS)

    def marked(*options):
        shown = fresh.pytest("suites", *options, "-o", "crbench_suites=suites/*.toml", "--collect-only", "-q")
        return [line.partition("::")[2] for line in shown.splitlines() if "::" in line]

    assert marked("-m", "gpu") == CELLS
    assert marked("-m", "not gpu", "--crbench-device=cuda") == [
        f"{variant}-edge-fidelity.accuracy" for variant in ("noise", "exported")
    ]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_the_store_lost_is_measured_again_and_said_in_the_closing_lines(measured, workers):
    for file in (measured.folder / ".crbench" / "observations").rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    shown = " ".join(measured.pytest("suites/mine.toml", *workers, expect=1).split())  # far may not ship
    assert "counted as absent, what needs them is measured again" in shown
    assert "counted as absent" not in measured.pytest("suites/mine.toml", expect=1)


@pytest.mark.parametrize("url", ["", " ", "file:", "memory:"])
def test_a_store_without_a_place_is_refused_and_nothing_is_written(fresh, url):
    shown = fresh.pytest("suites/mine.toml", f"--crbench-store={url}", expect=1)
    assert "its URL is empty" in shown or "names no place" in shown
    assert "Traceback" not in shown
    assert {item.name for item in fresh.folder.iterdir()}.isdisjoint({"cells", "networks", "crbench-store.json", url})
