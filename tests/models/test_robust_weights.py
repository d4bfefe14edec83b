"""The kept networks of suites/fashion-robust.toml withstand many small steps as they withstand one large one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.data.base import loaders
from bench.errors import UserError
from bench.functional.attacks.pgd import pgd
from bench.models.base import models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
WEIGHTS = Path(__file__).parents[2] / "suites" / "weights" / "fashion-robust"
EPSILON = 8 / 255
IMAGES = 40


@pytest.fixture(scope="module")
def data():
    try:
        return loaders.get("fashion-mnist")().load(2000, 512)
    except UserError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", ["reference", *(f"yardstick-{number}" for number in range(1, 5))])
def test_single_step_training_did_not_collapse(name, data) -> None:
    """Catastrophic overfitting: an accuracy near 0 under PGD-50 beside a high one under FGSM (arXiv 2001.03994)."""
    module = models.get("resnet8")().build(data.input)
    module.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    module.eval()
    x, y = (torch.from_numpy(part[:IMAGES]) for part in (data.evaluation.x, data.evaluation.y))
    how = {"epsilon": EPSILON, "bounds": (0.0, 1.0)}
    starts = 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 1
    once = pgd(module, x, y, torch.zeros_like(x), steps=1, relative_stepsize=1.0, **how).last
    often = pgd(module, x, y, starts, steps=50, relative_stepsize=0.05, **how).strongest
    with torch.no_grad():
        clean, single, many = (
            (module(points).argmax(dim=1) == y).double().mean().item() for points in (x, once, often)
        )
    print(f"{name}: clean {clean:.3f}, FGSM {single:.3f}, PGD-50 {many:.3f}")
    assert many > 0.3
    assert single - many < 0.1
