"""Samples a second of PGD and Auto-PGD beside foolbox's own PGD, of as many steps, in one run."""

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.data.base import loaders
from bench.errors import UserError
from bench.functional.attacks.apgd import apgd, log_odds_against
from bench.functional.attacks.pgd import pgd
from bench.models.base import models

WEIGHTS = Path(__file__).parents[2] / "suites" / "weights" / "fashion" / "reference.safetensors"
IMAGES, STEPS, EPSILON, ROUNDS = 64, 20, 8 / 255, 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_attacks_are_as_fast_as_the_library(benchmark):
    import foolbox

    try:
        data = loaders.get("fashion-mnist")().load(2000, 512)
    except UserError as missing:
        pytest.skip(str(missing))
    torch.set_num_threads(1)
    module = models.get("resnet8")().build(data.input)
    module.load_state_dict(load_file(WEIGHTS))
    module.eval()
    x, y = (torch.from_numpy(part[:IMAGES]) for part in (data.evaluation.x, data.evaluation.y))
    starts = 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 1
    library = foolbox.attacks.LinfProjectedGradientDescentAttack(rel_stepsize=0.1, steps=STEPS)
    wrapped = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    how = {"epsilon": EPSILON, "steps": STEPS, "bounds": (0.0, 1.0)}
    runs = {
        "foolbox": lambda: library.run(wrapped, x, y, epsilon=EPSILON),
        "pgd": lambda: pgd(module, x, y, starts, relative_stepsize=0.1, **how),
        "apgd": lambda: apgd(module, x, y, starts, log_odds_against(y), **how),
    }

    def alternately():
        seconds = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - started)
        return {name: min(each) for name, each in seconds.items()}

    best = benchmark.pedantic(alternately, rounds=1, warmup_rounds=0)
    ratios = {name: best["foolbox"] / best[name] for name in ("pgd", "apgd")}
    benchmark.extra_info |= ratios | {"samples_per_second": {name: IMAGES / each for name, each in best.items()}}
    print(f"times as fast as foolbox at {STEPS} steps: pgd {ratios['pgd']:.2f}, apgd {ratios['apgd']:.2f}")
    assert min(ratios.values()) > 0.8
