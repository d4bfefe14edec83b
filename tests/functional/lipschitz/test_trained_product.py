"""The product of norms in training: the certified product of the same network, with its gradient."""

import copy

import pytest
import torch
from torch import nn

from bench.canonical_form.trace import canonical_form
from bench.errors import NotApplicable
from bench.functional.lipschitz.graph_bounds.liplt import product
from bench.functional.lipschitz.graph_bounds.trained_product import TrainedProduct, margin_scores
from bench.models.base import models
from bench.networks.network import InputSpec

DECLARED = InputSpec((1, 8, 8), tuple("abcdefghij"))


def built(name, seed=0, **options):
    torch.manual_seed(seed)
    return models.get(name)(**options).build(DECLARED)


def moved(module, rounds=20):
    """Statistics of BatchNorm after some batches."""
    module.train()
    for number in range(rounds):
        with torch.no_grad():
            module(torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(number)))
    return module.eval()


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet8", "lenet5"])
def test_it_is_the_certified_product_of_the_network_as_it_is(name):
    module = moved(built(name))
    value = TrainedProduct(module, torch.zeros(1, 1, 8, 8), seed=0)
    with torch.no_grad():
        for _ in range(300):
            found = float(value())
    certified = product(canonical_form(module, torch.randn(4, 1, 8, 8))).value
    assert found <= certified * (1 + 1e-5)  # float32 beside float64
    assert found > 0.98 * certified


def test_the_gradient_is_the_difference_quotient():
    module = built("convnet", widths=(3, 4), strides=(1, 2))
    with torch.no_grad():
        for weight in module.parameters():  # one direction of largest gain, well apart from the next
            weight.abs_()
    module = moved(module)
    value = TrainedProduct(module.double(), torch.zeros(1, 1, 8, 8).double(), seed=1)
    with torch.no_grad():
        for _ in range(500):
            value()
    value().backward()
    for weight in (module.conv1.weight, module.bn2.weight, module.classifier.weight):
        slope = weight.grad.flatten()[1]
        plus, minus = (float(_at(module, weight, step)) for step in (1e-4, -1e-4))
        assert float(slope) == pytest.approx((plus - minus) / 2e-4, rel=1e-3)


def _at(module, weight, step):
    name = next(name for name, value in module.named_parameters() if value is weight)
    changed = copy.deepcopy(module)
    with torch.no_grad():
        changed.get_parameter(name).view(-1)[1] += step
        value = TrainedProduct(changed, torch.zeros(1, 1, 8, 8).double(), seed=1)
        for _ in range(500):
            found = value()
    return found


def test_a_scale_that_batch_norm_undoes_has_no_gradient():
    """The deviation of the batch goes with the weights, so that their size alone gains nothing."""
    module = nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3, eps=1e-12), nn.Linear(3, 2)).train()
    value = TrainedProduct(module, torch.zeros(1, 4), seed=0)
    module(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)))
    value().backward()
    weight = module[0].weight
    assert weight.grad.abs().max() > 1e-3
    assert float((weight.grad * weight.detach()).sum()) == pytest.approx(0.0, abs=1e-5)
    value.close()
    assert not module[1]._forward_pre_hooks


def test_what_has_no_constant_is_named():
    with pytest.raises(NotApplicable, match="layer normalisation"):
        TrainedProduct(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), torch.zeros(1, 4), seed=0)


def test_margin_scores_are_small_only_where_the_label_leads_by_the_margin():
    logits, labels = torch.tensor([[3.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 0])
    raised = margin_scores(logits, labels, torch.tensor(2.0), 1.0)
    assert raised[0].argmax() == 0  # 3 > √2 · 2
    assert margin_scores(logits, labels, torch.tensor(2.2), 1.0)[0].argmax() == 1
