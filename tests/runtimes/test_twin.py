from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import loaders
from bench.engine.in_memory import answers
from bench.errors import NotDifferentiable
from bench.functional.attacks.pgd import pgd
from bench.metrics.base import metrics as registered
from bench.models.base import Recipe
from bench.networks.arithmetic import arithmetic
from bench.networks.interface import to_network
from bench.networks.network import InputSpec, OnnxNetwork
from bench.onnx_import.parity import Parity, output_step, parity_of
from bench.probes.base import Context
from bench.probes.gradient_view import gradient_view
from bench.runtimes.base import Target
from bench.runtimes.onnx_session import LEVELS
from bench.runtimes.opening import open_predictor
from bench.stats.proportions import PairedTable, paired_difference

EDGE = Target(name="edge", runtime="onnxruntime")
SUMS = {kind: replace(EDGE, integer_sums=kind) for kind in ("exact", "saturating")}
SEVERAL = {
    "int8": [("onnx-export", {}), ("ort-static-quant", {})],
    "int8-operators": [("onnx-export", {}), ("ort-static-quant", {"format": "qoperator", "per_channel": False})],
    "dynamic": [("onnx-export", {}), ("ort-dynamic-quant", {})],
    "qcdq8": [("ptq", {"bits": 8}), ("onnx-export", {})],
    "qcdq4": [("ptq", {"bits": 4}), ("onnx-export", {})],
}


@pytest.fixture(scope="module")
def data():
    return loaders.get("digits")().load(360, 128)


@pytest.fixture(scope="module")
def trained(zoo):
    """The digits suite's reference after five epochs, with a mean and std of its own."""
    return zoo("convnet-normalised")


@pytest.fixture(scope="module")
def variants(trained, data):
    """Each compressed network as a file, and the torch network it was exported from."""
    context = StepContext(data.train, data.calibration, Recipe(epochs=1), 0)
    made = {}
    for name, chain in SEVERAL.items():
        network, before = trained, None
        for step, parameters in chain:
            before = network
            network = run_step(steps.get(step)(**parameters), network, context)
        made[name] = network, before
    return made


def jacobian(module, x):
    x = x.clone().requires_grad_()
    logits = module(x)
    return torch.stack([torch.autograd.grad(z.sum(), x, retain_graph=True)[0] for z in logits.T], dim=1)


def tipped(predictor, x):
    """Which samples have a value on a half that the twin's and the session's floats round to different codes.

    Where the two first part, values must lie on a half within a rounding error of float32, and codes be neighbours.
    """
    network = predictor._twin(predictor.graph, "hard", predictor.spec.integer_sums).network
    made = [step.node for step in network.graph.steps if step.node.operator == "QuantizeLinear"]
    quantisers = [node for node in made if node.inputs[0] not in network.graph.constants]
    model = load_model_from_string(predictor.graph)
    given = {entry.name for entry in model.graph.output}
    model.graph.output.extend(
        helper.make_empty_tensor_value_info(n.outputs[0]) for n in quantisers if not {*n.outputs} & given
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    images = to_network(x, predictor.network.input)
    wanted = [name for node in quantisers for name in (node.outputs[0], *node.inputs)]
    with arithmetic(1), torch.no_grad():
        own = network.values({network.graph.inputs[0]: images}, wanted)
    names = [node.outputs[0] for node in quantisers]
    theirs = dict(zip(names, session.run(names, {network.graph.inputs[0]: images.numpy()}), strict=True))
    found = set()
    for node in quantisers:  # in the order in which they run
        codes, other = own[node.outputs[0]].long(), torch.from_numpy(theirs[node.outputs[0]]).long()
        parted = codes != other
        steps = own[node.inputs[0]].double() / own[node.inputs[1]].double()
        for sample in set(parted.flatten(1).any(1).nonzero().ravel().tolist()) - found:
            here = parted[sample]
            assert float((codes - other)[sample][here].abs().max()) == 1
            assert float((steps[sample][here].frac().abs() - 0.5).abs().max()) < 1e-4
            found.add(sample)
    return sorted(found)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("sums", SUMS)
def test_the_twin_computes_what_the_session_computes(variants, data, sums, name, level):
    network = variants[name][0]
    x = torch.from_numpy(data.evaluation.x[:64])
    predictor = open_predictor(network, replace(SUMS[sums], optimisation=level))
    predictor.trust(x)
    figures = predictor.parity
    assert figures["samples"] == 64
    assert figures["argmax_agreement"] == 1
    # unfused, a network runs on floats between its quantisers, where another order of sums tips a value off a half
    floats = level in ("disabled", "basic") and name in ("int8", "qcdq8", "qcdq4")
    excused = tipped(predictor, x) if floats and figures["logit_difference"]["1"] > 1e-5 else []
    assert len(excused) <= 3
    assert figures["unit"] == ("output step" if name.startswith("int8") else "logit spread")
    twin = predictor.differentiable(gradient="straight_through")
    batch = 1 if name == "dynamic" else 64
    with torch.no_grad():
        shown = torch.cat([twin(part) for part in x.split(batch)])
    kept = [sample for sample in range(64) if sample not in excused]
    answered = predictor.logits(x)[0]
    torch.testing.assert_close(shown[kept], answered[kept], rtol=0, atol=1e-4)
    found = parity_of(shown[kept], answered[kept], output_step(twin.network)).canonical()
    assert found["logit_difference"]["1"] <= 1e-5
    assert float(jacobian(twin, x[:1]).abs().max()) > 0


@pytest.mark.parametrize("name", SEVERAL)
def test_the_two_kinds_of_sums_are_two_functions_of_eight_bits(variants, data, name):
    """And one of four, whose weights are too small for any pair to leave 16 bits."""
    x = torch.from_numpy(data.evaluation.x[:64])
    exact, saturating = (open_predictor(variants[name][0], target) for target in SUMS.values())
    assert (exact.spec.integer_sums, saturating.spec.integer_sums) == ("exact", "saturating")
    assert torch.equal(exact.logits(x), saturating.logits(x)) == (name == "qcdq4")


@pytest.mark.parametrize("name", ["qcdq8", "qcdq4"])
def test_gradients_are_those_of_the_torch_network_before_export(variants, data, name):
    """An independent reference: brevitas' own straight-through estimators."""
    network, before = variants[name]
    x = torch.from_numpy(data.evaluation.x[:48])
    expected = jacobian(open_predictor(before, Target(name="t")).differentiable(gradient="straight_through"), x)
    for level in ("disabled", "basic"):
        predictor = open_predictor(network, replace(EDGE, optimisation=level))
        predictor.trust(x)
        found = jacobian(predictor.differentiable(gradient="straight_through"), x)
        error = (found - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
        assert float(error.max()) < 1e-5


def test_gradients_are_the_same_where_the_runtime_fuses(variants, data):
    """But for sums of exactly zero, at which the torch network's ReLU decides by rounding errors."""
    network, before = variants["qcdq8"]
    x = torch.from_numpy(data.evaluation.x[:64])
    expected = jacobian(open_predictor(before, Target(name="t")).differentiable(gradient="straight_through"), x)
    predictor = open_predictor(network, SUMS["exact"])  # as torch sums
    predictor.trust(x)
    found = jacobian(predictor.differentiable(gradient="straight_through"), x)
    error = (found - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert float((error < 1e-5).double().mean()) > 0.9


def test_a_float_file_has_the_torch_networks_gradient(trained, data):
    context = StepContext(data.train, data.calibration, Recipe(epochs=1), 0)
    network = run_step(steps.get("onnx-export")(), trained, context)
    x = torch.from_numpy(data.evaluation.x[:16])
    expected = jacobian(open_predictor(trained, Target(name="t")).differentiable(), x)
    for floor in (False, True):
        predictor = open_predictor(network, EDGE, floor=floor)
        predictor.trust(x)
        twin = predictor.differentiable()
        assert twin(x).dtype == (torch.float64 if floor else torch.float32)
        torch.testing.assert_close(jacobian(twin, x).float(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sums", SUMS)
def test_hard_gradients_are_zero_and_exact_ones_are_refused(variants, data, sums):
    predictor = open_predictor(variants["int8"][0], SUMS[sums])
    x = torch.from_numpy(data.evaluation.x[:8])
    predictor.trust(x)
    assert float(jacobian(predictor.differentiable(gradient="hard"), x).abs().max()) == 0
    with pytest.raises(NotDifferentiable, match="rounds: its exact gradient is zero"):
        predictor.differentiable(gradient="exact")


def test_no_view_without_a_check(variants):
    with pytest.raises(NotDifferentiable, match="trust"):
        open_predictor(variants["int8"][0], EDGE).differentiable(gradient="straight_through")


def damaged(network: OnnxNetwork) -> bytes:
    """The file with the second half of its largest weight set to zero."""
    model = load_model_from_string(network.model)
    largest = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    array = numpy_helper.to_array(largest).copy()
    array.reshape(-1)[array.size // 2 :] = 0
    largest.CopyFrom(numpy_helper.from_array(array, largest.name))
    return model.SerializeToString()


def test_another_function_is_refused_with_the_figures(variants, data):
    """A twin of a damaged file against the session of the sound one."""
    predictor = open_predictor(variants["int8"][0], EDGE)
    other = OnnxNetwork(damaged(variants["int8"][0]), variants["int8"][0].input, quantised=True)
    predictor.graph = open_predictor(other, EDGE).graph
    x = torch.from_numpy(data.evaluation.x[:64])
    figures = r"differs from ONNX Runtime's session on 64 samples.*median .*limit 1\)"
    with pytest.raises(NotDifferentiable, match=figures):
        predictor.trust(x)
    assert predictor.parity["logit_difference"]["0.5"] > 1
    with pytest.raises(NotDifferentiable, match="differs from"):
        predictor.differentiable(gradient="straight_through")
    with (
        pytest.raises(NotDifferentiable, match="differs from"),
        gradient_view(predictor, Context(0, trial=data.evaluation.x)),
    ):
        pass


def test_parity_judges_by_step_by_spread_and_by_classes():
    random = torch.Generator().manual_seed(0)
    session = torch.randn(100, 5, generator=random)
    spread = float((session.double() - session.double().mean(1, keepdim=True)).square().mean().sqrt())

    def moved(size):
        out = session.clone()
        out[:, 0] += size
        return out

    assert parity_of(session, session, None).trusted
    found = parity_of(moved(0.005 * spread), session, None)
    assert found.trusted
    assert found.median == pytest.approx(0.005, rel=1e-3)
    assert not parity_of(moved(0.02 * spread), session, None).trusted
    assert parity_of(moved(0.02 * spread), session, 0.02 * spread * 1.01).trusted
    tail = session.clone()
    tail[:3] += 0.5 * spread  # three of a hundred samples far off, though no class changes
    found = parity_of(tail, session, None)
    assert (found.median, found.agreement) == (0, 1)
    assert not found.trusted
    swapped = session.clone()
    swapped[:3] = session[:3].flip(1)
    assert parity_of(swapped, session, 100.0).agreement == pytest.approx(0.97)
    assert not parity_of(swapped, session, 100.0).trusted
    assert Parity.AGREEMENT == 0.98


def test_constant_logits_have_finite_figures():
    zeros = torch.zeros(4, 3)
    assert parity_of(zeros, zeros, None).trusted
    found = parity_of(zeros + 1, zeros, None)
    assert not found.trusted
    assert np.isfinite(list(found.canonical()["logit_difference"].values())).all()


def pixels_file(cast: bool) -> bytes:
    """A network of whole pixels: by a cast, or by their codes."""
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    real = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    if not cast:
        real = helper.make_node("DequantizeLinear", ["x", "one"], ["f"])
    nodes = [real, helper.make_node("Flatten", ["f"], ["g"]), helper.make_node("MatMul", ["g", "w"], ["y"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "pixels",
        [value("x", TensorProto.UINT8, ["n", 1, 2, 2])],
        [value("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.float32(1), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


@pytest.mark.parametrize("cast", [False, True])
def test_whole_pixels_are_rounded_straight_through(cast):
    declared = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"), scale=255.0, dtype="uint8", order=(2, 0, 1))
    predictor = open_predictor(OnnxNetwork(pixels_file(cast), declared, quantised=True), EDGE)
    x = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    predictor.trust(x)
    twin = predictor.differentiable(gradient="straight_through")
    torch.testing.assert_close(twin(x), predictor.logits(x)[0])
    expected = 255 * torch.arange(12.0).reshape(4, 3).T[[1, 2, 0]].reshape(3, 1, 2, 2)
    torch.testing.assert_close(jacobian(twin, x)[0], expected)


def test_an_unknown_operator_is_named():
    node = helper.make_node("NonMaxSuppression", ["b", "s"], ["i"], name="pick")
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Unsqueeze", ["f", "zero"], ["b"]),
        helper.make_node("Slice", ["f", "zero", "two", "zero"], ["g"]),
        helper.make_node("Unsqueeze", ["g", "zero"], ["g1"]),
        helper.make_node("ReduceSum", ["g1", "minus"], ["s0"], keepdims=0),
        helper.make_node("Unsqueeze", ["s0", "zero"], ["s"]),
        node,
        helper.make_node("Cast", ["i"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["c"], ["t"], keepdims=1),
        helper.make_node("ReduceSum", ["t"], ["u"], keepdims=0),
        helper.make_node("Add", ["f", "u"], ["y"]),
    ]
    constants = {"zero": [0], "two": [2], "minus": [-1]}
    graph = helper.make_graph(
        nodes,
        "boxes",
        [value("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        [value("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.array(numbers, np.int64), name) for name, numbers in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    declared = InputSpec(shape=(1, 2, 2), classes=tuple("abcd"))
    predictor = open_predictor(OnnxNetwork(model.SerializeToString(), declared), replace(EDGE, optimisation="disabled"))
    with pytest.raises(NotDifferentiable, match=r"'pick' \(NonMaxSuppression, opset 18\) cannot be imported"):
        predictor.trust(torch.rand(1, 1, 2, 2))


def test_a_fixed_batch_is_filled(trained, data):
    context = StepContext(data.train, data.calibration, Recipe(epochs=1), 0)
    exported = run_step(steps.get("onnx-export")(), trained, context)
    model = load_model_from_string(exported.model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    predictor = open_predictor(replace(exported, model=model.SerializeToString()), EDGE)
    assert predictor.fixed_batch == 4
    x = torch.from_numpy(data.evaluation.x[:7])
    predictor.trust(x)
    torch.testing.assert_close(predictor.differentiable()(x), predictor.logits(x)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["int8", "dynamic", "qcdq8", "qcdq4"])
@pytest.mark.parametrize("sums", SUMS)
def test_an_attack_on_the_twin_succeeds_on_the_session(variants, data, sums, name):
    """Success under PGD at epsilon 0.1 on both, on the same perturbed images: within three points, interval stated."""
    network = variants[name][0]
    count = 60 if name == "dynamic" else 200
    samples = data.evaluation.take(slice(0, count))
    x, labels = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    predictor = open_predictor(network, SUMS[sums])
    predictor.trust(x[:64])
    twin = predictor.differentiable(gradient="straight_through")
    starts = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    size = 1 if name == "dynamic" else 50
    attacked = []
    for part in torch.arange(count).split(size):
        options = {"epsilon": 0.1, "steps": 10, "relative_stepsize": 0.25, "bounds": (0.0, 1.0)}
        attacked.append(pgd(twin, x[part], labels[part], starts[part], **options).last)
    adversarial = torch.cat(attacked)
    with torch.no_grad():
        on_twin = torch.cat([twin(part) for part in adversarial.split(size)]).argmax(1) != labels
    on_session = predictor.logits(adversarial)[0].argmax(1) != labels
    clean = predictor.logits(x)[0].argmax(1) != labels
    assert on_session.double().mean() > clean.double().mean() + 0.1  # the gradient leads somewhere
    table = PairedTable.of(on_twin.double().numpy(), on_session.double().numpy())
    found = paired_difference(table)
    assert abs(table.difference) <= 0.03
    assert -0.08 < found.low <= table.difference <= found.high < 0.08


def test_success_on_the_twin_is_told_from_success_on_the_session(variants, data, monkeypatch):
    """A session that answers wrongly wherever it is asked after the attack: all fall there, and only there."""
    metric = registered.get("adversarial.pgd")(epsilon=1e-6, steps=1)
    samples = data.evaluation.take(slice(0, 12))
    predictor = open_predictor(variants["int8"][0], EDGE)
    honest, asked = predictor.logits, []

    def logits(x):
        asked.append(len(x))
        return honest(x) if len(asked) <= 2 else -honest(x)  # the clean images and the parity check

    monkeypatch.setattr(predictor, "logits", logits)
    success = metric.details(answers(metric, predictor, samples))["success"]
    assert (success["session"], success["twin"], success["difference"]) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("name", ["adversarial.pgd", "attribution.ig", "lipschitz.local"])
def test_gradient_metrics_observe_a_session(variants, data, name):
    options = {"epsilon": 0.1, "steps": 3} if name == "adversarial.pgd" else {}
    metric = registered.get(name)(**options)
    samples = data.evaluation.take(slice(0, 12))
    predictor = open_predictor(variants["int8"][0], EDGE)
    arrays = answers(metric, predictor, samples)
    details = metric.details(arrays)
    assert arrays.notes["gradient"] == "straight_through"
    assert predictor.parity["samples"] == 12
    if name == "adversarial.pgd":
        success = details["success"]
        assert 0 < success["session"] <= 1
        assert success["difference"] == success["session"] - success["twin"]
        assert success["ci"][0] <= success["difference"] <= success["ci"][1]
