"""The declared set beside AutoAttack-standard (extra ``peers``), and Auto-PGD beside plain PGD at an equal budget."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.digits import Digits
from bench.engine.in_memory import answers
from bench.metrics.adversarial.robust_error import RobustError
from bench.runtimes.opening import open_predictor
from bench.stats.proportions import PairedTable, paired_difference
from tests.zoo import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def robust(predictor, samples, attacks, epsilon):
    return answers(RobustError(epsilon=epsilon, attacks=attacks), predictor, samples)["robust_correct"].astype(bool)


@pytest.mark.parametrize(("name", "epsilon"), [("small", 0.06), ("mlp", 0.06)])
def test_the_default_set_is_within_a_point_of_autoattack(name, epsilon, zoo) -> None:
    library = pytest.importorskip("pyautoattack", reason="extra peers")
    samples = Digits().load(200, 128).evaluation
    network = zoo(name)
    predictor = open_predictor(network, TARGETS["torch"])
    ours = robust(predictor, samples, RobustError(epsilon=epsilon).attacks, epsilon)
    module = predictor.differentiable()
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    peer = library.AutoAttack(module, norm="Linf", eps=epsilon, version="standard", device="cpu", seed=0)
    found = peer.run_standard_evaluation(x, y, batch_size=200)
    found = found[0] if isinstance(found, tuple) else found
    with torch.no_grad():
        theirs = (module(found).argmax(dim=1) == y).numpy()
    print(f"{name}: robust error {1 - ours.mean():.4f}, AutoAttack-standard {1 - theirs.mean():.4f}")
    assert 0.3 < 1 - theirs.mean() < 0.98
    assert ours.mean() <= theirs.mean() + 0.01


def test_auto_pgd_is_no_worse_than_pgd_of_as_many_gradients(zoo) -> None:
    samples = Digits().load(1000, 128).evaluation
    predictor = open_predictor(zoo("small"), TARGETS["torch"])
    plain, auto = (
        ~robust(predictor, samples, (attack,), 0.06)[: len(samples)]
        for attack in ("pgd[steps=20]", "apgd-ce[steps=20]")
    )
    limits = paired_difference(PairedTable.of(plain.astype(float), auto.astype(float)))
    print(f"robust error: PGD {plain.mean():.4f}, Auto-PGD {auto.mean():.4f}, difference {limits}")
    assert limits.low > -0.01


def test_auto_pgd_is_stronger_where_a_fixed_step_is_fooled(linear, rows) -> None:
    # a valley: from the sample the way to the other class goes along a steep ridge, over which long steps jump
    random = np.random.default_rng(0)
    predictor, samples = _ridge(random)
    plain = robust(predictor, samples, ("pgd[steps=20,relative_stepsize=1.0]",), 0.3)
    auto = robust(predictor, samples, ("apgd-ce[steps=20]",), 0.3)
    assert plain.mean() > auto.mean() + 0.3


def _ridge(random):
    from bench.data.base import Samples
    from bench.networks.network import InputSpec, TorchNetwork

    class Ridge(torch.nn.Module):
        """``z_1 − z_0 = x_1 − .6 − 8 |x_0 − .5|``: the other class is a thin wedge about x_0 = .5."""

        def forward(self, x):
            flat = x.flatten(1)
            gap = flat[:, 1] - 0.6 - 8 * (flat[:, 0] - 0.5).abs()
            return torch.stack([torch.zeros_like(gap), gap], dim=1)

    x = np.stack([random.uniform(0.45, 0.55, 64), random.uniform(0.35, 0.45, 64)], axis=1).astype(np.float32)
    ids = tuple(f"ridge/{i}" for i in range(64))
    declared = InputSpec((1, 1, 2), ("0", "1"))
    network = TorchNetwork(Ridge().eval(), declared)
    return open_predictor(network, TARGETS["torch"]), Samples(ids, x[:, None, None, :], np.zeros(64, dtype=np.int64))
