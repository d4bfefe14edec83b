"""CONTRIBUTING.md's examples run as they stand: one file each, named by a suite."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from bench.cli import run_cli
from bench.engine.in_memory import answers
from bench.metrics.base import faults
from bench.networks.network import TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (bench/[\w/]+\.py)\n(.*?)```", PAGE, flags=re.DOTALL))
NAMES = {
    "bench/metrics/uncertainty/sureness.py": ("sureness_of_page", "Sureness"),
    "bench/probes/logit_spread.py": ("spread_of_page", "LogitSpread"),
    "bench/compression/weight_sign.py": ("sign_of_page", "WeightSign"),
    "bench/models/linear.py": ("linear_of_page", "Linear"),
    "bench/data/stripes.py": ("stripes_of_page", "Stripes"),
}
SUITE = """
name = "page"

[data]
loader = "stripes_of_page:Stripes"
evaluation = 200
calibration = 64

[reference]
model = "linear_of_page:Linear"
recipe = { epochs = 2 }

[yardstick]
retrained = 4

[[target]]
name = "torch"

[[variant]]
name = "signs"
steps = [{ use = "sign_of_page:WeightSign" }]

[[metric]]
use = "sureness_of_page:Sureness"
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Every example as a module of a user's own: registered by nobody, named by module and class."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for page, (module, _) in NAMES.items():
        (tmp_path / f"{module}.py").write_text(re.sub(r"@\w+\.register\(.*\)\n", "", EXAMPLES[page]))
    return tmp_path


def test_every_example_of_the_page_is_tried() -> None:
    assert set(EXAMPLES) == set(NAMES)


def test_a_suite_of_nothing_but_the_examples(written) -> None:
    (written / "page.toml").write_text(SUITE)
    assert run_cli(["run", "page.toml", "--quiet"]) == 0
    (cell,) = json.loads((written / "reports/page/results.json").read_text())["cells"]
    assert cell["status"] == "ok", cell["reason"]
    assert cell["values"]["sureness_change"]["gap"] is not None
    assert cell["values"]["sureness"]["reference"] > 0.5


def test_a_metric_of_ten_lines_and_a_probe_in_memory(written, networks, samples) -> None:
    import sureness_of_page
    import spread_of_page  # isort: skip

    predictor = open_predictor(networks["reference"], Target(name="torch"))
    assert isinstance(networks["reference"], TorchNetwork)
    metric = sureness_of_page.Sureness()
    assert not list(faults(metric))
    top = answers(metric, predictor, samples)["top"]
    assert 0.1 <= top.min() <= top.max() <= 1
    body = EXAMPLES["bench/metrics/uncertainty/sureness.py"].partition("class Sureness")[2].splitlines()
    assert len([line for line in body if line.strip()]) <= 11  # the class line with it
    from bench.probes.base import Context

    spread = spread_of_page.LogitSpread().ask(predictor, samples, Context(0)).arrays["spread"]
    assert spread.shape == (len(samples),)
    assert np.isfinite(spread).all()
