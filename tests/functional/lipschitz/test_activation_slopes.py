"""Slopes of activations against a dense search of torch's own functions, and against their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.functional.lipschitz.chain_bounds.activation_functions import evaluated
from bench.functional.lipschitz.layer_norms.activation_slopes import ACTIVATIONS, activation, slopes

FUNCTIONS = {  # name: its parameters, the function of torch
    "identity": ({}, lambda x: x),
    "relu": ({}, functional.relu),
    "relu6": ({}, functional.relu6),
    "hardtanh": ({}, lambda x: functional.hardtanh(x, -2.0, 0.5)),
    "leaky_relu": ({"negative_slope": 0.2}, lambda x: functional.leaky_relu(x, 0.2)),
    "leaky_relu steep": ({"negative_slope": 3.0}, lambda x: functional.leaky_relu(x, 3.0)),
    "leaky_relu falling": ({"negative_slope": -0.5}, lambda x: functional.leaky_relu(x, -0.5)),
    "prelu": ({"weight": 0.25}, lambda x: functional.prelu(x, torch.tensor([0.25], dtype=x.dtype))),
    "elu": ({}, functional.elu),
    "elu steep": ({"alpha": 2.0}, lambda x: functional.elu(x, 2.0)),
    "celu": ({"alpha": 2.0}, lambda x: functional.celu(x, 2.0)),
    "selu": ({}, functional.selu),
    "softplus": ({}, functional.softplus),
    "softsign": ({}, functional.softsign),
    "logsigmoid": ({}, functional.logsigmoid),
    "tanh": ({}, torch.tanh),
    "sigmoid": ({}, torch.sigmoid),
    "hardsigmoid": ({}, functional.hardsigmoid),
    "hardsigmoid of ONNX": ({"slope": 0.2}, lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "hardswish": ({}, functional.hardswish),
    "gelu": ({}, functional.gelu),
    "gelu_tanh": ({}, lambda x: functional.gelu(x, approximate="tanh")),
    "silu": ({}, functional.silu),
    "mish": ({}, functional.mish),
    "abs": ({}, torch.abs),
}


def test_every_activation_of_the_table_is_checked() -> None:
    assert {name.split()[0] for name in FUNCTIONS} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_slopes_hold_all_difference_quotients_and_are_reached(name: str) -> None:
    parameters, function = FUNCTIONS[name]
    alpha, beta = map(float, slopes(name.split()[0], **parameters))
    x = torch.cat((torch.linspace(-18, 18, 400_001, dtype=torch.float64), torch.tensor([-400.0, 400.0]).double()))
    x = x.sort().values
    y = function(x)
    near = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    rounding = 4e-10  # a few u · 54 over a step of 9e-5
    shift = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    apart = (x - x[shift]).abs() > 1e-3
    far = ((y - y[shift]) / (x - x[shift]))[apart]
    for quotients in (near, far):
        assert alpha - rounding <= float(quotients.min())
        assert float(quotients.max()) <= beta + rounding
    # 2e-4: a step, and what is left of a slope that is reached at infinity alone
    reached = 2e-4 if name != "softsign" else 3e-3
    assert float(near.min()) <= alpha + reached
    assert float(near.max()) >= beta - reached


@pytest.mark.parametrize(("name", "ends"), [("gelu", 2**0.5), ("gelu_tanh", 1.41850400879), ("silu", 2.3993572805)])
def test_curved_slopes_hold_the_extreme_derivative(name: str, ends: float) -> None:
    """The derivative at its extremum lies inside, and within 1e-12 of the end."""
    x = torch.tensor([-ends, ends], dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(FUNCTIONS[name][1](x).sum(), x)
    alpha, beta = map(float, slopes(name))
    assert 0 <= float(derivative[0]) - alpha < 1e-12
    assert 0 <= beta - float(derivative[1]) < 1e-12


def test_mish_holds_its_extreme_derivatives() -> None:
    x = torch.tensor([-2.25637639636, 1.49057117949], dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(functional.mish(x).sum(), x)
    alpha, beta = map(float, slopes("mish"))
    assert 0 <= float(derivative[0]) - alpha < 1e-12
    assert 0 <= beta - float(derivative[1]) < 1e-12


def test_selu_and_hardsigmoid_are_rounded_outward() -> None:
    from fractions import Fraction

    product = Fraction(1.0507009873554805) * Fraction(1.6732632423543772)
    assert Fraction(float(slopes("selu").beta)) > product
    assert Fraction(float(slopes("hardsigmoid").beta)) > Fraction(1, 6)


def test_one_slope_a_neuron() -> None:
    found = activation("prelu", 3, weight=[0.5, -1.0, 2.0])
    np.testing.assert_array_equal(found.alpha, [0.5, -1.0, 1.0])
    np.testing.assert_array_equal(found.beta, [1.0, 1.0, 2.0])
    assert activation("gelu", 2).alpha.shape == (2,)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("attention", {}, "activation 'attention' has no slopes in the table; it knows abs, "),
        ("relu", {"slope": 1}, "parameters ..slope..: it has others"),
        ("leaky_relu", {"negative_slope": float("nan")}, "NaN or infinite"),
        ("celu", {"alpha": 0.0}, "above 0"),
        ("selu", {"gamma": -1.0}, "at least 0"),
        ("elu", {"alpha": float("nan")}, "NaN or infinite"),
    ],
)
def test_what_is_refused(name: str, parameters: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        slopes(name, **parameters)


def test_parameters_and_neurons_must_fit() -> None:
    with pytest.raises(ValueError, match="2 parameters for 3 neurons"):
        activation("prelu", 3, weight=[0.5, 1.0])


def test_a_slope_above_one_is_not_evaluated_as_another_function() -> None:
    """Below 0 it is the steeper side, and a chain takes the larger slope for the one above 0."""
    made = activation("leaky_relu", 2, negative_slope=1.7)
    assert (made.name, made.alpha.tolist(), made.beta.tolist()) == ("steep_leaky_relu", [1.0, 1.0], [1.7, 1.7])
    assert activation("leaky_relu", 2, negative_slope=0.2).name == "leaky_relu"
    with pytest.raises(ValueError, match="no function is known"):
        evaluated(made, np.zeros(2))
