"""A narrower network from scratch, as near to the multiplications as widths allow."""

from dataclasses import replace

import pytest

from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.compression.train_small import TrainSmall
from bench.errors import UserError
from bench.functional.module_cost import multiply_accumulates
from bench.models.base import models
from bench.models.scaling import nearest_width
from bench.models.training import accuracy, initialise
from bench.networks.network import InputSpec
from bench.outside_networks.records import source_of

IMAGE = InputSpec(shape=(1, 8, 8), classes=tuple("0123456789"))


def macs(model):
    return multiply_accumulates(initialise(model, IMAGE, 0), IMAGE.shape).macs


@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet8", "mobilenet-tiny"])
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_no_other_width_is_nearer(name, share):
    model = models.get(name)()
    wanted = round(share * macs(model))
    found = nearest_width(model, IMAGE, wanted)
    assert found.macs == macs(found.model)
    if name == "resnet8":
        all_widths = [macs(replace(model, width=width)) for width in range(1, 17)]
        assert abs(found.macs - wanted) == min(abs(each - wanted) for each in all_widths)
    assert abs(found.macs - wanted) < 0.07 * macs(model)
    assert (found.model == model) == (share == 1.0) == (found.factor == 1.0)


def test_heads_divide_the_width():
    model = models.get("vit-tiny")(width=24, heads=4, hidden=40, depth=1)
    found = nearest_width(model, IMAGE, round(0.5 * macs(model)))
    assert found.model.width % 4 == 0
    assert found.model.heads == 4
    assert found.model.width < 24
    assert found.model.hidden < 40


def test_an_architecture_without_widths_is_refused():
    for name, parameters in (("lenet5", {}), ("mlp", {"hidden": ()})):
        with pytest.raises(UserError, match=f"'{name}' has no width to scale"):
            nearest_width(models.get(name)(**parameters), IMAGE, 100)


def test_it_matches_the_pruned_network_before_it(network, context, digits):
    context = replace(context, recipe=replace(context.recipe, epochs=3))
    pruned = run_step(StructuredPrune(ratio=0.5), network, context)
    made = run_step(TrainSmall(), pruned, context)
    record = made.record["record"]
    assert record["model"]["parameters"]["widths"] == [4, 6]
    assert record["factor"] == 0.5
    assert record["macs_after"] == record["macs_wanted"] == pruned.record["record"]["macs_after"]
    assert record["macs_share"] == record["macs_after"] / multiply_accumulates(network.module, digits.input.shape).macs
    assert accuracy(made.module, digits.evaluation, digits.input) > 0.25  # chance is 0.1
    again = restore(made.record, to_bytes(made))
    assert to_bytes(again) == to_bytes(made)
    assert source_of(made.record) == source_of(network.record)
    alone = run_step(TrainSmall(macs=record["macs_share"]), network, context)
    assert to_bytes(alone) == to_bytes(made)


def test_it_needs_a_recipe(network, context):
    with pytest.raises(UserError, match="train-small needs the recipe"):
        run_step(TrainSmall(macs=0.5), network, replace(context, recipe=None))
