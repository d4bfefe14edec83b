"""Inference of a network of several members beside its members one after another, in one run."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.data.digits import Digits
from bench.models.base import Recipe, models
from bench.models.training import initialise
from bench.networks.members import Stacked, one_member
from bench.networks.network import TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.uncertainty.masksembles import Masksembles

MEMBERS, IMAGES, ROUNDS = 4, 64, 30


def best_of(runs):
    seconds = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: min(each) for name, each in seconds.items()}


@pytest.mark.parametrize("model", ["convnet", "resnet8"])
def test_members_together_cost_no_more_than_one_after_another(benchmark, model):
    data = Digits().load(360, 64)
    torch.set_num_threads(1)
    architecture, x = models.get(model)(), torch.from_numpy(data.evaluation.x[:IMAGES])
    singles = [initialise(architecture, data.input, seed) for seed in range(MEMBERS)]
    target = Target(name="torch")
    alone = [open_predictor(TorchNetwork(single, data.input), target) for single in singles]
    declared = replace(data.input, members=MEMBERS)
    together = open_predictor(TorchNetwork(Stacked(singles), declared), target)
    method = Masksembles(members=MEMBERS)
    masked = method.train(architecture, data.train, data.input, Recipe(epochs=0), 0, lambda line: None).eval()
    tiled = open_predictor(TorchNetwork(masked, declared), target)

    def one_by_one():
        with torch.no_grad():
            for member in range(MEMBERS):
                with one_member(masked, member):
                    masked(x)

    runs = {
        "singles": lambda: [predictor.logits(x) for predictor in alone],
        "stacked": lambda: together.logits(x),
        "masked one by one": one_by_one,
        "tiled": lambda: tiled.logits(x),
    }
    best = benchmark.pedantic(lambda: best_of(runs), rounds=1, warmup_rounds=1)
    ratios = {"stacked": best["stacked"] / best["singles"], "tiled": best["tiled"] / best["masked one by one"]}
    benchmark.extra_info |= ratios
    print(f"{model}: {', '.join(f'{name} {ratio:.2f}' for name, ratio in ratios.items())} of the time of single calls")
    assert np.isfinite(list(ratios.values())).all()
    assert ratios["stacked"] < 1.25
    assert ratios["tiled"] < 1.5
