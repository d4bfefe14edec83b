"""Statistics of BatchNorm are those of the images."""

from dataclasses import replace

import pytest
import torch

from bench.compression.batch_norm_reset import BatchNormReset
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.errors import NotApplicable, UserError
from bench.models.batch_norm_statistics import BATCH, estimate_again
from bench.models.mlp import Mlp
from bench.models.training import accuracy, initialise
from bench.networks.network import TorchNetwork


def test_the_statistics_are_the_images_own(network, digits):
    """One batch: the first BatchNorm holds the mean and unbiased variance of its input."""
    samples = digits.train.take(slice(0, BATCH))
    made = estimate_again(network.module, samples, digits.input)
    with torch.no_grad():
        seen = network.module.conv1(torch.from_numpy(samples.x)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(made.bn1.running_mean, seen.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.bn1.running_var, seen.var(1), rtol=1e-4, atol=1e-5)
    assert made.bn1.momentum == network.module.bn1.momentum == 0.1
    assert not made.bn1.training
    for name, parameter in made.named_parameters():
        assert torch.equal(parameter, network.module.get_parameter(name))


def test_it_repairs_a_pruned_network(network, context, digits):
    pruned = run_step(StructuredPrune(ratio=0.5, importance="random"), network, context)
    reset = run_step(BatchNormReset(samples=300), pruned, context)
    before, after = (accuracy(made.module, digits.evaluation, digits.input) for made in (pruned, reset))
    assert after > before + 0.05
    assert reset.record["record"] == {"batch_norms": ["bn1", "bn2"], "samples": 300}
    within = run_step(StructuredPrune(ratio=0.5, importance="random", batch_norm_samples=300), network, context)
    assert to_bytes(within) == to_bytes(reset)
    assert to_bytes(restore(within.record, to_bytes(within))) == to_bytes(within)


def test_no_label_is_read_and_the_seed_draws_the_images(network, context):
    unlabelled = replace(context, train=replace(context.train, y=None))
    first = to_bytes(run_step(BatchNormReset(samples=50), network, context))
    assert to_bytes(run_step(BatchNormReset(samples=50), network, unlabelled)) == first
    assert to_bytes(run_step(BatchNormReset(samples=50, seed=1), network, context)) != first


def test_where_it_means_nothing_it_is_refused(network, context, digits):
    plain = TorchNetwork(initialise(Mlp(hidden=(4,)), digits.input, 0), digits.input, {})
    with pytest.raises(NotApplicable, match="no BatchNorm"):
        run_step(BatchNormReset(), plain, context)
    with pytest.raises(UserError, match="the network has no BatchNorm"):
        run_step(StructuredPrune(ratio=0.5, batch_norm_samples=10), plain, context)
    with pytest.raises(UserError, match="1 training images, 2 or more are needed"):
        run_step(BatchNormReset(), network, replace(context, train=context.train.take(slice(0, 1))))
