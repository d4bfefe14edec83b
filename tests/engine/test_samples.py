"""The arrays that a run leaves beside its results: they give its figures again."""

import json

import numpy as np
import pytest

from bench.cell_id import CellId
from bench.metrics.uncertainty.calibration import Calibration
from bench.store.samples import read_samples

GATES = (
    (
        'use = "fidelity.predictions"',
        """use = "fidelity.predictions"
gate = [{ value = "js", max_gap = 1 }, { value = "flip_rate", max_change = 1 }]""",
    ),
    ("samples = 20", 'samples = 20\ngate = [{ value = "robust_error", max_harm = 0.9 }]'),
)
MORE = """
[[metric]]
use = "uncertainty.calibration"
gate = [{ value = "nll", max_harm = 1 }, { value = "ce2_debiased", max_harm = 1 }]

[[metric]]
use = "cost"
rounds = 5
"""


@pytest.fixture
def ran(measured):
    text = measured.text
    for old, new in GATES:
        assert old in text
        text = text.replace(old, new)
    (measured.folder / "tiny.toml").write_text(text + MORE)
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    return measured


def test_they_give_the_figures_of_the_results_again(ran):
    samples, found, forms = read_samples(ran.folder / "reports" / "tiny" / "arrays.npz"), 0, set()
    for cell in ran.results()["cells"]:
        place = CellId.make(cell["variant"], cell["target"], cell["metric"], cell["params"], cell["replicate"]).path
        kept = samples.cells.get(place)
        gated = {name for name, value in cell["values"].items() if value["gates"]}
        assert gated <= set(kept.values if kept else ())
        for name, value in (kept.values if kept else {}).items():
            shown = cell["values"][name]
            forms.add(value.form)
            if value.form == "timing":
                assert np.median(value.variant["x"]) == pytest.approx(shown["variant"])
                assert np.median(value.reference["x"]) == pytest.approx(shown["reference"])
            elif value.form == "statistic":
                (wanted,) = [item for item in Calibration.values if item.name == name]
                ones = np.ones((1, cell["n"]))
                assert wanted.figure(value.variant, ones)[0] == pytest.approx(shown["variant"])
                assert wanted.figure(value.reference, ones)[0] == pytest.approx(shown["reference"])
                assert set(value.variant) == {"confidence", "correct"}  # and nothing else that was observed
            elif value.form in ("count", "distance"):
                assert value.variant["x"].mean() == pytest.approx(shown["estimate"])
            else:
                assert value.variant["x"].mean() == pytest.approx(shown["variant"])
                assert value.reference["x"].mean() == pytest.approx(shown["reference"])
            found += 1
    assert forms == {"proportion", "mean", "statistic", "count", "distance", "timing"}
    assert found > 15
    assert len(samples.labels) == 150
    assert samples.classes == tuple("0123456789")


def test_a_cached_run_leaves_the_same_arrays(ran):
    file = ran.folder / "reports" / "tiny" / "arrays.npz"
    before = file.read_bytes()
    file.unlink()
    assert ran.run("run", "tiny.toml", "--quiet") == 0
    assert file.read_bytes() == before


def test_what_the_store_lost_is_left_out_and_told_where_nothing_may_be_measured(ran, capsys):
    assert ran.run("baseline", "accept", "reports/tiny") == 0
    for file in (ran.folder / ".crbench" / "observations").rglob("*.npy"):
        file.unlink()
    assert ran.run("run", "tiny.toml", "--quiet", "--rerun", "never") == 0
    assert json.loads((ran.folder / "reports" / "tiny" / "results.json").read_text())["run"]["reused"] > 0
    assert "files were damaged and counted as absent" in capsys.readouterr().err
    assert ran.run("gate", "reports/tiny", "--baseline", "reports/baselines/tiny.json") == 3
    assert "its per-sample arrays are missing" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["of the variants", "all", "one"])
def test_arrays_that_a_gate_needs_and_the_store_lost_are_measured_again(ran, capsys, what):
    """Cells that nothing judges sample by sample stay as they are, and the next run has nothing to do."""
    folder = ran.folder / "reports" / "tiny"
    assert ran.run("baseline", "accept", "reports/tiny") == 0
    before, cells = (folder / "arrays.npz").read_bytes(), json.loads((folder / "results.json").read_text())["cells"]
    files = sorted((ran.folder / ".crbench" / "observations").rglob("*.npy"))
    for file in files[:1] if what == "one" else files:
        if (
            what != "of the variants"
            or "weight-noise" in file.with_name(f"{file.name.partition('.')[0]}.json").read_text()
        ):
            file.unlink()
    assert ran.run("run", "tiny.toml", "--quiet") == 0
    err = capsys.readouterr().err
    assert "counted as absent" in err or what == "one"
    assert len(err.splitlines()) <= 1
    after = json.loads((folder / "results.json").read_text())["cells"]
    for old, new in zip(cells, after, strict=True):
        if old["family"] != "cost":  # latencies are taken anew
            assert old["values"] == new["values"]
            gated = any(value["gates"] for value in old["values"].values())
            assert new["cached"] or (gated and what != "one") or what == "one"
    if what == "all":  # what one cell asks again, the others of its probe find
        again = {cell["metric"] for cell in after if not cell["cached"]}
        assert {"adversarial.pgd", "cost"} < again
    capsys.readouterr()
    assert ran.run("gate", "reports/tiny", "--baseline", "reports/baselines/tiny.json") == 0
    assert "missing" not in capsys.readouterr().out
    timed = {cell["family"] for cell in cells} & {"cost"}
    assert timed or (folder / "arrays.npz").read_bytes() == before
    assert ran.run("run", "tiny.toml", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert all(cell["cached"] for cell in json.loads((folder / "results.json").read_text())["cells"])
