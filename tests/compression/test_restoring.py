"""Chains are checked before they run; records and weights are held to each other."""

import copy

import pytest
import torch
from torch import nn

from bench.compression.base import Step, steps
from bench.compression.chains import check_chain, run_step
from bench.compression.restoring import rebuild_structure, restore, to_bytes
from bench.errors import UserError
from bench.networks.network import OnnxNetwork, TorchNetwork


class Quantise(Step):
    """Some step that quantises, to check chains with."""

    name = "quantise"

    def produces(self, kind):
        return "torch-quantised"

    def apply(self, network, context):
        raise AssertionError("check_chain must not run anything")


def prune():
    return steps.get("structured-prune")(ratio=0.3)


def test_a_good_chain_gives_its_last_kind():
    chain = [steps.get("bn-fold")(), prune(), steps.get("finetune")(), Quantise()]
    assert check_chain("torch", chain) == "torch-quantised"
    assert check_chain("onnx", []) == "onnx"


def test_a_chain_that_cannot_run_names_the_step_and_the_reason():
    wanted = (
        "variant[2].steps[1]: structured-prune cannot follow quantise: quantised layers cannot be cut; "
        "prune before quantising"
    )
    with pytest.raises(UserError) as error:
        check_chain("torch", [Quantise(), prune()], where="variant[2]")
    assert str(error.value) == wanted
    with pytest.raises(UserError, match=r"^steps\[0\]: finetune cannot follow an onnx network: an ONNX file cannot"):
        check_chain("onnx", [steps.get("finetune")()])
    with pytest.raises(UserError, match=r"^steps\[1\]: quantise cannot follow quantise: it takes a network of kind"):
        check_chain("torch", [Quantise(), Quantise()])
    with pytest.raises(
        UserError,
        match=r"bn-fold cannot follow an onnx-quantised network: its weights are rounded already; fold before",
    ):
        check_chain("onnx-quantised", [steps.get("bn-fold")()])
    assert check_chain("onnx", [steps.get("bn-fold")()]) == "onnx"


def test_every_torch_step_refuses_what_is_quantised_with_a_reason():
    for name, choices in {
        "bn-fold": {},
        "structured-prune": {"ratio": 0.5},
        "finetune": {},
        "weight-noise": {"sigma": 1.0},
        "retrain": {},
    }.items():
        step = steps.get(name)(**choices)
        assert step.refusal["torch-quantised"]
        with pytest.raises(UserError, match=f"{name} cannot follow quantise: "):
            check_chain("torch", [Quantise(), step])


def test_run_step_refuses_the_wrong_kind(network, context):
    onnx = OnnxNetwork(b"", network.input, {"source": "onnx"})
    with pytest.raises(UserError, match="structured-prune cannot follow an onnx network"):
        run_step(prune(), onnx, context)


def test_a_trained_network_restores(network, digits):
    again = restore(network.record, to_bytes(network))
    x = torch.from_numpy(digits.evaluation.x)
    with torch.no_grad():
        assert torch.equal(again.module(x), network.module(x))
    assert again.input == network.input
    assert not again.module.training


def test_an_onnx_network_restores_as_its_bytes(network):
    record = {"step": "x", "kind": "onnx-quantised", "of": network.record}
    again = restore(record, b"bytes")
    assert again == again
    assert (again.model, again.kind, again.input) == (b"bytes", "onnx-quantised", network.input)
    assert to_bytes(again) == b"bytes"


def test_weights_that_do_not_fit_are_refused(network, context):
    pruned = run_step(prune(), network, context)
    with pytest.raises(UserError, match="the record needs"):
        restore(network.record, to_bytes(pruned))
    with pytest.raises(UserError, match="the record needs"):
        restore(pruned.record, to_bytes(network))
    folded = run_step(steps.get("bn-fold")(), network, context)
    with pytest.raises(UserError, match=r"they do not fit the record: bn1\."):
        restore(network.record, to_bytes(folded))
    double = TorchNetwork(copy.deepcopy(network.module).double(), network.input, network.record)
    with pytest.raises(UserError, match=r"float64, the record needs .* torch\.float32"):
        restore(network.record, to_bytes(double))


def test_a_record_of_another_version_is_refused(network, context):
    made = run_step(prune(), network, context)
    with pytest.raises(UserError, match="made by version 0 of structured-prune, this is version 3"):
        restore(made.record | {"version": 0}, to_bytes(made))


def test_bytes_are_of_tensors_only_and_tied_ones_are_kept(network, context):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"more": 1}

        def set_extra_state(self, state):
            raise AssertionError

    with pytest.raises(UserError, match="state entry '_extra_state' is dict"):
        to_bytes(TorchNetwork(Extra(2, 2), network.input))
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert len(to_bytes(TorchNetwork(tied, network.input))) > 2 * 9 * 4


def test_structure_depends_on_the_seed_alone(network, context):
    made = run_step(prune(), network, context)
    one, two = rebuild_structure(made.record, 5), rebuild_structure(made.record, 5)
    assert to_bytes(one) == to_bytes(two) != to_bytes(rebuild_structure(made.record, 6))


def test_a_record_that_is_not_json_is_refused(network, context):
    class Bad(Step):
        name = "bad"

        def canonical(self):
            return {"step": "bad"}

        def apply(self, network, context):
            return network, {"value": float("nan")}

    with pytest.raises(ValueError, match="JSON"):
        run_step(Bad(), network, context)
