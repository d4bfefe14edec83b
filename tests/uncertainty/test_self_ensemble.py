"""Self-ensembles: members are sub-networks that stand alone, disjoint ones share no channel."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.errors import UserError
from bench.functional.members.overlap import mean_overlap
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.resnet8 import ResNet8
from bench.networks.members import one_member
from bench.networks.network import TorchNetwork
from bench.outside_networks.records import source_record
from bench.stats.streams import generator
from bench.uncertainty.gated import gates_of
from bench.uncertainty.masked import masks_of
from bench.uncertainty.self_ensemble import SelfEnsemble, diversity

MODEL, RECIPE = Convnet(widths=(12, 24), strides=(2, 2)), Recipe(epochs=4, batch=32)


def made(digits, **given):
    method = SelfEnsemble(members=3, **given)
    method.check(MODEL, digits.input, RECIPE)
    module = method.train(MODEL, digits.train, digits.input, RECIPE, 0, lambda line: None)
    declared = method.answers(digits.input)
    return TorchNetwork(module, declared, source_record(MODEL, declared, method))


@pytest.fixture(scope="module")
def disjoint(digits):
    return made(digits)


def test_disjoint_members_share_no_channel_and_overlapping_ones_some(digits, disjoint) -> None:
    assert [mean_overlap(mask.masks.numpy() > 0) for mask in masks_of(disjoint.module)] == [0.0, 0.0]
    assert all((mask.masks.sum(dim=0) == 1).all() for mask in masks_of(disjoint.module))
    shared = made(digits, overlap=0.5)
    assert all(0.2 < mean_overlap(mask.masks.numpy() > 0) < 0.8 for mask in masks_of(shared.module))


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_a_member_is_cut_out_exactly_and_is_as_small_as_its_share(digits, disjoint, overlap) -> None:
    network = made(digits, overlap=overlap) if overlap else disjoint
    x = torch.from_numpy(digits.evaluation.x)
    for member in range(3):
        alone = run_step(
            steps.get("one-member")(member=member), network, StepContext(digits.train, digits.calibration, None, 0)
        )
        widths = [layer.weight.shape[0] for layer in alone.module.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert widths == ([4, 8] if overlap == 0 else [8, 16])
        torch.testing.assert_close(alone.module(x), network.module(x)[:, member], rtol=1e-4, atol=1e-4)


def test_what_one_member_learns_touches_no_other_disjoint_one(disjoint) -> None:
    """A gradient step on one member's loss leaves the others' answers as they are, but for the shared last bias."""
    module = disjoint.module
    x = torch.rand(8, 1, 8, 8)
    with one_member(module, 0):
        gradients = torch.autograd.grad(
            module(x).square().sum(), [w for n, w in module.named_parameters() if "bias" not in n]
        )
    before = module(x).detach()
    weights = [weight for name, weight in module.named_parameters() if "bias" not in name]
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= 0.01 * gradient
        after = module(x)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight += 0.01 * gradient
    torch.testing.assert_close(after[:, 1:], before[:, 1:], rtol=1e-5, atol=1e-5)
    assert float((after[:, 0] - before[:, 0]).abs().max()) > 1e-3


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_running_statistics_are_of_the_members_that_have_the_channel(disjoint, digits, overlap) -> None:
    """After one batch with momentum 1, against the rows of these members alone, put through by hand."""
    module = copy.deepcopy((made(digits, overlap=overlap) if overlap else disjoint).module)
    norms = [module.network.bn1, module.network.bn2]
    for norm in norms:
        norm.momentum = 1.0
    x = torch.from_numpy(digits.evaluation.x[:16])
    with torch.no_grad():
        out = module.train()(x)
        first = module.network.conv1(x)
        masks = [mask.masks > 0 for mask in masks_of(module)]
        torch.testing.assert_close(norms[0].running_mean, first.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
        inner = torch.relu(
            functional.batch_norm(first, None, None, norms[0].weight, norms[0].bias, True, 0.0, norms[0].eps)
        )
        second = [module.network.conv2(inner * own[:, None, None]) for own in masks[0]]
        for channel in range(24):
            rows = torch.cat([second[member][:, channel].flatten() for member in range(3) if masks[1][member, channel]])
            assert float(norms[1].running_mean[channel]) == pytest.approx(float(rows.mean()), rel=1e-3, abs=1e-4)
            assert float(norms[1].running_var[channel]) == pytest.approx(float(rows.var()), rel=1e-3)
    assert out.shape == (16, 3, 10)
    assert "forward" not in vars(norms[0])


def test_diversity_by_hand() -> None:
    p = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]])
    kl = 0.5 * torch.log(torch.tensor(2.0)) - 0.25 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(diversity(p.log(), torch.tensor([0]), "kl"), kl)
    torch.testing.assert_close(diversity(p.log(), torch.tensor([0]), "errors"), -torch.tensor(0.25 * 0.5 + 0.25 * 0.25))


def test_a_diversity_term_parts_the_members(digits) -> None:
    x, y = torch.from_numpy(digits.evaluation.x), torch.from_numpy(digits.evaluation.y)
    found = {}
    for weight in (0.0, 0.5):
        module = made(digits, diversity="kl", weight=weight).module
        with torch.no_grad():
            found[weight] = float(diversity(module(x).log_softmax(dim=-1), y, "kl"))
    assert found[0.5] > 1.3 * found[0.0]


def test_what_cannot_be_dealt_out_is_refused(digits) -> None:
    with pytest.raises(UserError, match="12 channels are not 5 equal disjoint shares"):
        SelfEnsemble(members=5).check(MODEL, digits.input, RECIPE)
    with pytest.raises(UserError, match="1 epochs leave none"):
        SelfEnsemble(members=3, first=0.9).check(MODEL, digits.input, Recipe(epochs=1))
    with pytest.raises(UserError, match="no hidden activation"):
        SelfEnsemble(members=3).check(Mlp(hidden=()), digits.input, RECIPE)


@pytest.mark.parametrize("combined", ["bagging", "inputs"])
def test_members_with_samples_of_their_own_are_others_and_stay_cut_out(digits, disjoint, combined) -> None:
    network = made(digits, combined=combined)
    x, y = torch.from_numpy(digits.evaluation.x), torch.from_numpy(digits.evaluation.y)
    with torch.no_grad():
        scores = network.module(x)
        assert not torch.equal(scores, disjoint.module(x))
        assert ((scores.argmax(dim=-1) == y[:, None]).float().mean(dim=0) > 0.5).all()
        with one_member(network.module, 1):
            torch.testing.assert_close(network.module(x), scores[:, 1], rtol=1e-4, atol=1e-4)


def test_a_resample_weighs_each_member_s_own_samples(digits) -> None:
    """Drawn twice counts twice, not drawn not at all: the loss sample by sample, for the samples' own places."""
    n = len(digits.train.x)
    loss_of = SelfEnsemble(members=3, combined="bagging")._own_samples(n, 5, RECIPE)
    module = SelfEnsemble(members=3).initialised(MODEL, digits.input, 0)
    rows = [generator("self-ensemble bagging", 5, member).integers(n, size=n) for member in range(3)]
    counts = torch.stack([torch.bincount(torch.from_numpy(own), minlength=n) for own in rows], dim=1)
    assert counts.max() > 1
    assert 0.6 < float((counts > 0).float().mean()) < 0.67
    places = torch.arange(100, 140)
    x, y = torch.from_numpy(digits.train.x)[places], torch.from_numpy(digits.train.y)[places]
    with torch.no_grad():
        scores, expected = module(x), 0.0
        for i, place in enumerate(places):
            for member in range(3):
                expected -= float(counts[place, member] * scores[i, member].log_softmax(0)[y[i]]) / 120
        assert float(loss_of(module, x, y, places)) == pytest.approx(expected, rel=1e-5)


def test_inputs_give_each_member_every_sample_of_a_batch_in_an_order_of_its_own(digits) -> None:
    """The mean loss is then that of the batch, where nothing mixes its rows: without BatchNorm."""
    module = SelfEnsemble(members=3).initialised(Mlp(hidden=(24,)), digits.input, 0)
    x, y = torch.from_numpy(digits.train.x[:16]), torch.from_numpy(digits.train.y[:16])
    loss_of = SelfEnsemble(members=3, combined="inputs")._own_samples(len(digits.train.x), 5, RECIPE)
    with torch.no_grad():
        expected = functional.cross_entropy(module(x).flatten(0, 1), y.repeat_interleave(3))
        assert float(loss_of(module, x, y, torch.arange(16))) == pytest.approx(float(expected), rel=1e-5)
    seen = []
    module.each = lambda rows: seen.append(rows) or torch.zeros(16, 3, 10)
    loss_of(module, x, y, torch.arange(16))
    first, second, _ = seen[0].flatten(1).chunk(3)
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(dim=0).values, second.sort(dim=0).values)


def test_members_leave_residual_branches_out_for_good(digits) -> None:
    method, model, recipe = (
        SelfEnsemble(members=2, combined="stochastic-depth", survival=0.3), ResNet8(width=4), Recipe(epochs=2, batch=32)
    )  # fmt: skip
    method.check(model, digits.input, recipe)
    module = method.train(model, digits.train, digits.input, recipe, 0, lambda line: None)
    factors = torch.cat([gate.factors.flatten() for gate in gates_of(module)])
    assert set(factors.tolist()) == {0.0, 1.0}
    declared = method.answers(digits.input)
    network = TorchNetwork(module, declared, source_record(model, declared, method))
    x = torch.from_numpy(digits.evaluation.x[:50])
    for member in range(2):
        alone = run_step(
            steps.get("one-member")(member=member), network, StepContext(digits.train, digits.calibration, None, 0)
        )
        torch.testing.assert_close(alone.module(x), module(x)[:, member], rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="no residual branch"):
        method.check(MODEL, digits.input, RECIPE)


def test_other_samples_and_a_diversity_term_exclude_each_other(digits) -> None:
    with pytest.raises(UserError, match=r"reference.method.combined: 'inputs' gives members other samples"):
        SelfEnsemble(members=3, combined="inputs", diversity="kl").check(MODEL, digits.input, RECIPE)
