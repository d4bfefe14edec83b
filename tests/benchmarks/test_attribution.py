"""Expected gradients beside captum's GradientShap: time to maps that two runs agree on equally well."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.engine.networks import Networks
from bench.engine.planning import plan_suite
from bench.errors import UserError
from bench.functional.expected_gradients import draw_paths, expected_gradients
from bench.functional.similarity import cosine_distance
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.store.store import Store
from bench.suite.load import load_suite

SUITE = Path(__file__).parents[2] / "suites" / "fashion.toml"
IMAGES, BASELINES = 16, 128
SHAP_SAMPLES = 200
COUNTS = (25, 50, 75, 100, 125, 150, 175, 200)


class Centred(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        logits = self.module(x)
        return logits - logits.mean(dim=1, keepdim=True)


def agreement(first, second):
    return 1 - float(cosine_distance(first, second).mean())


def timed(run):
    """How well two runs agree, and the seconds of one."""
    started = time.perf_counter()
    first = run(1)
    seconds = time.perf_counter() - started
    return agreement(first, run(2)), seconds


def test_expected_gradients_to_the_agreement_of_gradient_shap(benchmark, tmp_path):
    captum = pytest.importorskip("captum.attr")
    try:
        planned = plan_suite(load_suite(SUITE))
    except UserError as missing:
        pytest.skip(str(missing))
    torch.set_num_threads(1)
    data = planned.dataset
    network = Networks(Store(str(tmp_path)), data, lambda message: None).get(planned.plan.references[0])
    module = open_predictor(network, Target(name="torch")).differentiable()
    x = torch.from_numpy(data.evaluation.x[:IMAGES])
    background = torch.from_numpy(data.calibration.x[:BASELINES])
    with torch.no_grad():
        target = module(x).argmax(dim=1)

    def shap(seed):
        torch.manual_seed(seed)
        np.random.seed(seed)
        options = {"baselines": background, "target": target, "n_samples": SHAP_SAMPLES, "stdevs": 0.0}
        return captum.GradientShap(Centred(module)).attribute(x, **options).detach().numpy()

    def ours(count):
        def run(seed):
            drawn = [draw_paths(BASELINES, count, np.random.default_rng((seed, row))) for row in range(IMAGES)]
            index, alpha = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
            return expected_gradients(module, x, target, background, index, alpha).maps.numpy()

        return run

    wanted, theirs = timed(shap)
    reached = [(count, *timed(ours(count))) for count in COUNTS]
    count, agreed, seconds = next(item for item in reached if item[1] >= wanted)
    benchmark.pedantic(ours(count), (3,), rounds=1)
    benchmark.extra_info |= {"GradientShap": [SHAP_SAMPLES, round(wanted, 3), round(theirs, 2)]}
    benchmark.extra_info |= {"expected gradients": [count, round(agreed, 3), round(seconds, 2)]}
    benchmark.extra_info["share of the time"] = round(seconds / theirs, 3)
    print(benchmark.extra_info)
    assert seconds <= 0.5 * theirs
