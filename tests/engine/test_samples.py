"""The arrays that a run leaves beside its results: they give its figures again."""

import json

import numpy as np
import pytest

from bench.metrics.uncertainty.calibration import Calibration
from bench.store.samples import place_of, read_samples

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
        place = place_of(cell["variant"], cell["target"], cell["metric"], cell["params"], cell["replicate"])
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
                assert wanted.statistic(value.variant, ones)[0] == pytest.approx(shown["variant"])
                assert wanted.statistic(value.reference, ones)[0] == pytest.approx(shown["reference"])
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


def test_what_the_store_lost_is_left_out_and_told(ran, capsys):
    assert ran.run("baseline", "accept", "reports/tiny") == 0
    for file in (ran.folder / ".crbench" / "observations").rglob("*.npz"):
        file.unlink()
    assert ran.run("run", "tiny.toml", "--quiet") == 0
    assert json.loads((ran.folder / "reports" / "tiny" / "results.json").read_text())["run"]["reused"] > 0
    assert ran.run("gate", "reports/tiny", "--baseline", "reports/baselines/tiny.json") == 3
    assert "its per-sample arrays are missing" in capsys.readouterr().out
