"""No gradient is no robustness: straight through what rounds, else skipped with the figure."""

import re

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bench.data.digits import Digits
from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.metrics.adversarial.pgd import ProjectedGradientDescent
from bench.metrics.attribution.ig import IntegratedGradients
from bench.metrics.lipschitz.local import LocalLipschitz
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.probes.base import Context, Observation
from bench.probes.gradient_view import dead_gradients, gradient_view
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))
EPSILON = 0.1
ALL_DEAD = r"its gradients are zero on 100\.0% of 64 samples"


@pytest.fixture(scope="module")
def digits():
    return Digits().load(150, 16)


@pytest.fixture(scope="module")
def linear(digits):
    """A linear classifier by least squares, which is right on most digits: its attack has a closed form."""
    x = digits.train.x.reshape(-1, 64)
    target = np.eye(10)[digits.train.y] * 10
    weight = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), target, rcond=1e-3)[0]
    head = nn.Linear(64, 10)
    head.weight.data = torch.from_numpy(weight[:-1].T.astype(np.float32))
    head.bias.data = torch.from_numpy(weight[-1].astype(np.float32))
    return nn.Sequential(nn.Flatten(), head).eval()


class Rounds(nn.Module):
    def __init__(self, network, how):
        super().__init__()
        self.network, self.how = network, how

    def forward(self, x):
        return self.network(self.how(x))


WAYS = {
    "round": lambda x: torch.round(x * 255) / 255,
    "floor": lambda x: (x * 255 + 0.5).floor() / 255,
    "in place": lambda x: (x * 255).round_() / 255,
    "cast": lambda x: (x * 255 + 0.5).to(torch.int32).float() / 255,
    "byte": lambda x: (x * 255 + 0.5).byte() / 255,
}


def predictor(module, **more):
    return open_predictor(TorchNetwork(module, DECLARED, **more), Target(name="cpu"))


def context(digits):
    return Context(0, trial=digits.evaluation.x[:64])


def refusal(network, digits):
    """Why the network's gradients mean nothing."""
    with gradient_view(network, context(digits)) as view:
        return dead_gradients(Observation({}, view.notes()))


def robust_error(found):
    return 1 - found["robust_correct"].mean()


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_a_network_that_rounds_its_input_is_as_weak_as_it_is(linear, digits, how):
    """Eight bits change next to nothing, and gave a share of errors of the clean network before."""
    attack = ProjectedGradientDescent(epsilon=EPSILON, steps=10)
    right = robust_error(answers(attack, predictor(linear), digits.evaluation))
    clean = 1 - (linear(torch.from_numpy(digits.evaluation.x)).argmax(1).numpy() == digits.evaluation.y).mean()
    assert right > clean + 0.3
    found = answers(attack, predictor(Rounds(linear, how)), digits.evaluation)
    assert abs(robust_error(found) - right) <= 0.02
    assert found.notes["gradient"] == "straight_through"
    norms = answers(LocalLipschitz(), predictor(Rounds(linear, how)), digits.evaluation)["norm"]
    own = answers(LocalLipschitz(), predictor(linear), digits.evaluation)["norm"]
    np.testing.assert_allclose(norms, own, rtol=1e-5)
    maps = [
        answers(IntegratedGradients(steps=8), predictor(item), digits.evaluation, predictor(linear))
        for item in (linear, Rounds(linear, how))
    ]
    np.testing.assert_allclose(maps[0]["attribution"], maps[1]["attribution"], atol=1e-5)


def comparing(x):
    return (x > 0.5).float()


@pytest.mark.parametrize(
    "metric", [ProjectedGradientDescent(epsilon=EPSILON, steps=2), LocalLipschitz(), IntegratedGradients(steps=2)]
)
def test_what_no_gradient_passes_is_skipped_with_the_figure(linear, digits, metric):
    said = r"its gradients are zero on 100\.0% of 64 samples, at most 5% may be"
    with pytest.raises(NotApplicable, match=said):
        answers(metric, predictor(Rounds(linear, comparing)), digits.evaluation)


def test_a_view_that_computes_something_else_is_not_used(linear, digits):
    """Straight through, the cast's result is no integer: this code then takes another way."""

    def asks(x):
        whole = (x * 16).to(torch.int32)
        return whole / 16 if not whole.is_floating_point() else whole / 8

    assert re.search(
        r"its gradients are zero on 100\.0% of 64 samples", refusal(predictor(Rounds(linear, asks)), digits)
    )


def test_rounding_that_needs_integers_is_skipped(linear, digits):
    def looked_up(x):
        table = torch.linspace(0, 1, 256)
        return table[(x * 255).long()]

    assert re.search(
        r"its gradients are zero on 100\.0% of 64 samples", refusal(predictor(Rounds(linear, looked_up)), digits)
    )


def test_a_share_below_the_limit_passes(linear, digits):
    """Three dead samples of 64 are 4.7 %, four 6.3 %."""
    x = torch.from_numpy(digits.evaluation.x[:64])

    class Dead(nn.Module):
        def __init__(self, count):
            super().__init__()
            self.network, self.kept = linear, x[:count].flatten(1)

        def forward(self, x):
            known = (x.flatten(1)[:, None] == self.kept[None]).all(2).any(1)
            return torch.where(known[:, None], torch.zeros(1), self.network(x))

    with gradient_view(predictor(Dead(3)), context(digits)) as view:
        assert (view.gradient, view.alive) == ("exact", True)
    assert re.search(r"zero on 6\.2% of 64 samples", refusal(predictor(Dead(4)), digits))


def rounding_file(linear):
    weight, bias = linear[1].weight.detach().numpy().T, linear[1].bias.detach().numpy()
    nodes = [
        helper.make_node("Mul", ["x", "many"], ["a"]),
        helper.make_node("Round", ["a"], ["b"]),
        helper.make_node("Div", ["b", "many"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w", "v"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 10])],
        [
            numpy_helper.from_array(np.ascontiguousarray(weight), "w"),
            numpy_helper.from_array(bias, "v"),
            numpy_helper.from_array(np.float32(255), "many"),
        ],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(made)
    return made.SerializeToString()


def test_a_file_that_rounds_its_input(linear, digits):
    network = OnnxNetwork(rounding_file(linear), DECLARED)
    edge = open_predictor(network, Target(name="edge", runtime="onnxruntime"))
    attack = ProjectedGradientDescent(epsilon=EPSILON, steps=10)
    right = robust_error(answers(attack, predictor(linear), digits.evaluation))
    found = answers(attack, edge, digits.evaluation)
    assert abs(robust_error(found) - right) <= 0.02
    assert found.notes["gradient"] == "straight_through"


def test_whole_pixels_have_gradients_straight_through(linear, digits):
    """A torch network that takes uint8: what it was given is rounded before it."""

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = linear

        def forward(self, x):
            return self.network(x.float() / 255)

    declared = InputSpec(shape=(1, 8, 8), classes=DECLARED.classes, dtype="uint8", scale=255.0)
    whole = open_predictor(TorchNetwork(Whole(), declared), Target(name="cpu"))
    attack = ProjectedGradientDescent(epsilon=EPSILON, steps=10)
    right = robust_error(answers(attack, predictor(linear), digits.evaluation))
    assert abs(robust_error(answers(attack, whole, digits.evaluation)) - right) <= 0.02


def test_a_saturated_softmax_hides_nothing(linear, digits):
    """Logits times 300: nearly every probability is 0 or 1, and the attack is the linear network's own."""

    class Scaled(nn.Module):
        def __init__(self, last):
            super().__init__()
            self.network, self.last = linear, last

        def forward(self, x):
            return self.last(300 * self.network(x))

    attack = ProjectedGradientDescent(epsilon=EPSILON, steps=10)
    right = robust_error(answers(attack, predictor(linear), digits.evaluation))
    declared = InputSpec(shape=(1, 8, 8), classes=DECLARED.classes, output="probabilities")
    network = TorchNetwork(Scaled(nn.Softmax(dim=1)), declared)
    assert (network.module(torch.from_numpy(digits.evaluation.x)) == 1).any(1).float().mean() > 0.8
    found = answers(attack, open_predictor(network, Target(name="cpu")), digits.evaluation)
    assert abs(robust_error(found) - right) <= 0.02
    kept = TorchNetwork(Scaled(lambda z: (e := (z - z.amax(1, keepdim=True)).exp()) / e.sum(1, keepdim=True)), declared)
    with pytest.raises(NotApplicable, match=r"its gradients are zero on \d+\.\d% of 64 samples, at most 5%"):
        answers(attack, open_predictor(kept, Target(name="cpu")), digits.evaluation)
