"""Networks with saturating sums where no session has them: the twin in its place gives the session's own numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.base import steps
from bench.compression.chains import run_step
from bench.errors import NotDifferentiable
from bench.networks.network import InputSpec, OnnxNetwork
from bench.runtimes import running_file
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import native_sums
from bench.runtimes.onnx_predictor import OnnxPredictor, SimulatedPredictor
from bench.runtimes.onnx_session import LEVELS
from bench.runtimes.opening import open_predictor
from tests.integer_sums.networks import BOUNDS, NETWORKS, SHAPE, fused

EDGE = Target(name="edge", runtime="onnxruntime")
OLD = replace(EDGE, integer_sums="saturating")
CASES = {name: made() for name, made in NETWORKS.items()}
DECLARED = InputSpec(SHAPE, ("a", "b", "c"), BOUNDS)
CHAINS = {
    "int8": [("ort-static-quant", {})],
    "int8 activations": [("ort-static-quant", {"activation_type": "int8"})],
    "operators": [("ort-static-quant", {"format": "qoperator"})],
    "dynamic": [("ort-dynamic-quant", {})],
}


def simulated(network, target=OLD):
    return SimulatedPredictor(network, target, target.threads)


def network_of(name):
    return OnnxNetwork(CASES[name].model.SerializeToString(), DECLARED, quantised=True)


@pytest.fixture(scope="module")
def quantised(exported, context):
    made = {}
    for name, chain in CHAINS.items():
        made[name] = exported
        for step, options in chain:
            made[name] = run_step(steps.get(step)(**options), made[name], context)
    return made


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_it_gives_what_a_saturating_processor_gives(name, level):
    """Sums by hand, on every machine; a network between quantisers has float sums until it is fused."""
    case, target = CASES[name], replace(OLD, optimisation=level)
    predictor, x = simulated(network_of(name), target), torch.from_numpy(case.x)
    expected = case.expected["saturating" if fused(name, level) else "exact"]
    np.testing.assert_array_equal(predictor.logits(x)[0].numpy(), expected)
    predictor.trust(x)  # the exact twin against the session beside it, which is exact
    assert predictor.parity["logit_difference"]["1"] == 0
    np.testing.assert_array_equal(predictor._session_logits(x).numpy(), case.expected["exact"])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CHAINS)
def test_it_equals_a_session_of_a_saturating_processor(quantised, x, name, level):
    """Bit for bit where products run on integers; elsewhere they run on floats, as they would there."""
    if native_sums() != "saturating":
        pytest.skip("this processor's sums are exact")
    target = replace(OLD, optimisation=level)
    session = OnnxPredictor(quantised[name], replace(target, integer_sums="native"), 1)
    found, expected = simulated(quantised[name], target).logits(x), session.logits(x)
    assert torch.equal(found.argmax(-1), expected.argmax(-1))
    if name == "operators" or (name != "dynamic" and level in ("extended", "all")):
        assert torch.equal(found, expected)
    elif name == "dynamic":
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    exact = open_predictor(quantised[name], replace(target, integer_sums="exact")).logits(x)
    if name in ("operators", "dynamic") or level in ("extended", "all"):
        assert not torch.equal(found, exact)  # the case would show nothing


def test_it_says_what_it_is(quantised):
    predictor = simulated(quantised["int8"])
    assert (predictor.spec.integer_sums, predictor.spec.simulated) == ("saturating", True)
    assert predictor.spec.target == OLD
    assert predictor.network is quantised["int8"]
    assert predictor.running == predictor.file == quantised["int8"].model
    assert not predictor.spec.batch_dependent
    assert simulated(quantised["dynamic"]).spec.batch_dependent


def test_it_is_taken_only_where_sessions_do_not_saturate(quantised, exported, monkeypatch):
    kinds = {}
    for saturating in (True, False):
        monkeypatch.setattr(running_file, "saturates", lambda network, target, told=saturating: told)
        kinds[saturating] = [
            type(open_predictor(network, target)).__name__
            for network in (quantised["int8"], exported)
            for target in (OLD, EDGE, replace(EDGE, integer_sums="exact"))
        ]
    assert kinds[True] == ["OnnxPredictor"] * 6
    assert kinds[False] == ["SimulatedPredictor", *["OnnxPredictor"] * 5]  # a network of floats has no such sums
    spec = open_predictor(exported, OLD).spec
    assert (spec.integer_sums, spec.simulated) == (None, False)


def test_the_native_session_of_a_saturating_processor_is_not_simulated(quantised):
    predictor = open_predictor(quantised["operators"], OLD)
    assert predictor.spec.simulated == (native_sums() != "saturating")
    assert predictor.spec.integer_sums == "saturating"


def test_its_twin_has_its_own_sums_and_needs_a_check(quantised, x):
    predictor = simulated(quantised["int8"])
    with pytest.raises(NotDifferentiable, match="trust"):
        predictor.differentiable(gradient="straight_through")
    predictor.trust(x)
    assert predictor.parity["samples"] == len(x)
    twin = predictor.differentiable(gradient="straight_through")
    given = x[:4].clone().requires_grad_()
    shown = twin(given)
    assert torch.equal(shown.detach(), predictor.logits(x[:4])[0])
    assert float(torch.autograd.grad(shown.sum(), given)[0].abs().max()) > 0


def test_a_session_that_differs_from_the_exact_twin_is_not_trusted(quantised, x, monkeypatch):
    predictor = simulated(quantised["int8"])
    honest = predictor._session_logits
    monkeypatch.setattr(predictor, "_session_logits", lambda x: honest(x).flip(1))
    with pytest.raises(NotDifferentiable, match="differs from ONNX Runtime's session"):
        predictor.trust(x)


def test_the_floor_is_the_same_function_in_other_batches(quantised, x, monkeypatch):
    monkeypatch.setattr(running_file, "saturates", lambda network, target: False)
    plain = open_predictor(quantised["operators"], OLD)
    floor = open_predictor(quantised["operators"], OLD, floor=True)
    assert isinstance(floor, SimulatedPredictor)
    assert (floor.batch_size, floor.threads) != (plain.batch_size, plain.threads)
    assert torch.equal(floor.logits(x), plain.logits(x))


def test_a_fixed_batch_is_filled():
    case = CASES["of integers"]
    model = case.model
    fixed = type(model).FromString(model.SerializeToString())
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    fixed.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
    predictor = simulated(OnnxNetwork(fixed.SerializeToString(), DECLARED, quantised=True))
    assert predictor.fixed_batch == 2
    found = predictor.logits(torch.from_numpy(case.x))[0].numpy()
    np.testing.assert_array_equal(found, case.expected["saturating"])


def test_classes_and_bounds_are_the_users():
    """The output's order and the input's normalisation are honoured as by a session."""
    case = CASES["of integers"]
    declared = InputSpec(SHAPE, ("a", "b", "c"), mean=(6.0, 6.0), std=(1.0, 1.0), scale=17.0, order=(2, 0, 1))
    network = OnnxNetwork(case.model.SerializeToString(), declared, quantised=True)
    x = (torch.from_numpy(case.x) + 6) / 17
    found = simulated(network).logits(x)[0].numpy()
    np.testing.assert_array_equal(found, case.expected["saturating"][:, [1, 2, 0]])
