"""Attributions beside Integrated Gradients: closed forms, common draws, and what each refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import bench
from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Samples
from bench.engine.in_memory import answers
from bench.errors import NotApplicable, UserError
from bench.metrics.base import metrics
from bench.networks.network import FunctionNetwork, InputSpec, TorchNetwork
from bench.probes import masked
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.suite.given_metric import as_metrics

GRADIENTS = ("saliency", "smoothgrad", "gradient_shap")
MASKS = ("occlusion", "rise", "kernel_shap")
CHEAPER = {
    "smoothgrad": {"draws": 4},
    "gradient_shap": {"draws": 4},
    "rise": {"grid": 4, "masks": 30},
    "kernel_shap": {"grid": 3, "coalitions": 40},
}
D, CLASSES = 6, 3
WEIGHT = np.random.default_rng(0).normal(size=(CLASSES, D)).astype(np.float32)
BOUNDS = (-9.0, 9.0)
TORCH = Target(name="torch")


def metric(name: str, **given: object):
    return metrics.get(f"attribution.{name}")(**{**CHEAPER.get(name, {}), **given})


def maps(name: str, predictor, samples: Samples, reference=None, seed: int = 0, **given: object) -> np.ndarray:
    return answers(metric(name, **given), predictor, samples, reference, seed=seed)["attribution"]


def vectors(weight: np.ndarray = WEIGHT, **declared):
    """A predictor of ``z = W (x - mean) / std`` on vectors."""
    layer = nn.Linear(weight.shape[1], len(weight), bias=False)
    layer.weight.data = torch.from_numpy(weight)
    given = InputSpec((weight.shape[1],), tuple("abc"), BOUNDS, **declared)
    return open_predictor(TorchNetwork(layer, given), TORCH)


def function(score, shape, classes=CLASSES, bounds=(0.0, 1.0)):
    declared = InputSpec(shape, tuple(map(str, range(classes))), bounds)
    return open_predictor(FunctionNetwork(score, declared), Target(name="own", runtime="function"))


@pytest.fixture
def x() -> Samples:
    return Samples(tuple(f"v/{i}" for i in range(12)), np.random.default_rng(1).normal(size=(12, D)).astype("f4"), None)


@pytest.fixture
def images() -> Samples:
    drawn = np.random.default_rng(2).random((5, 2, 8, 9)).astype(np.float32)
    return Samples(tuple(f"i/{i}" for i in range(5)), drawn, None)


@pytest.fixture
def row(x) -> np.ndarray:
    """The centred weights of each sample's class."""
    classes = (x.x @ WEIGHT.T).argmax(axis=1)
    assert len(set(classes)) == CLASSES
    return (WEIGHT - WEIGHT.mean(axis=0))[classes]


def test_gradients_of_a_linear_network_are_its_centred_weights(x, row) -> None:
    for name in ("saliency", "smoothgrad"):
        np.testing.assert_allclose(maps(name, vectors(), x), row, rtol=1e-5, atol=1e-6)
    scaled = vectors(2 * WEIGHT, std=(2.0,))  # in the user's units
    np.testing.assert_allclose(maps("saliency", scaled, x), row, rtol=1e-5, atol=1e-6)
    found = maps("gradient_shap", vectors(), x, noise=0.0, baseline=-0.5)
    np.testing.assert_allclose(found, row * (x.x + 0.5), rtol=1e-5, atol=1e-6)


def test_noise_of_a_cubic_network_in_closed_form(x) -> None:
    """f = Σ x³: SmoothGrad is 3 (x² + σ²), GradientSHAP E (x + ε)³ − x′³ = x³ + 3 x σ² − x′³ a feature."""

    class Cubic(nn.Module):
        def forward(self, x):
            z = 2 * (x**3).sum(dim=1)  # centred, the logits are half of it and its negative
            return torch.stack([z, torch.zeros_like(z)], dim=1)

    declared = InputSpec((D,), ("a", "b"), BOUNDS)
    predictor = open_predictor(TorchNetwork(Cubic(), declared), TORCH)
    n, draws, sigma, start = 120, 64, 0.5, -0.4  # one sample under many names, each with draws of its own
    one = np.abs(x.x[0]).astype(np.float64) + 0.2
    many = Samples(tuple(f"c/{i}" for i in range(n)), np.tile(one, (n, 1)).astype(np.float32), None)
    expected = {"smoothgrad": 3 * (one**2 + sigma**2), "gradient_shap": one**3 + 3 * one * sigma**2 - start**3}
    for name, given in (("smoothgrad", {}), ("gradient_shap", {"baseline": start})):
        found = maps(name, predictor, many, noise=sigma / 18, draws=draws, **given)
        error = found.std(axis=0, ddof=1) / np.sqrt(n)
        assert (np.abs(found.mean(axis=0) - expected[name]) < 4.5 * error).all()
        of_noise = 3 * sigma**2 * (1 if name == "smoothgrad" else one)
        assert (of_noise > 6 * error).any()  # a map without the noise's part would be told apart


@pytest.mark.parametrize(
    ("name", "given"), [("occlusion", {}), ("kernel_shap", {}), ("kernel_shap", {"coalitions": 62})]
)
def test_masks_of_a_linear_network_give_weight_times_difference(x, row, name, given) -> None:
    found = maps(name, vectors(), x, baseline=-0.5, **given)
    np.testing.assert_allclose(found, row * (x.x + 0.5), rtol=1e-4, atol=1e-5)


def test_kernel_shap_adds_up_and_shares_a_segments_value_equally(images) -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(size=(2 * 8 * 9, 20)), random.normal(size=(20, CLASSES))

    def score(x):
        return np.tanh(x.reshape(len(x), -1) @ first) @ second

    predictor = function(score, (2, 8, 9))
    found = maps("kernel_shap", predictor, images, baseline=0.25)
    assert found.shape == (5, 1, 8, 9)
    both = [score(given.astype(np.float64)) for given in (images.x, np.full_like(images.x, 0.25))]
    classes = both[0].argmax(axis=1)
    change = [(z - z.mean(axis=1, keepdims=True))[np.arange(5), classes] for z in both]
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), change[0] - change[1], rtol=1e-4, atol=1e-5)
    assert len(np.unique(found[0].round(9))) == 9


def test_segments_that_equal_the_baseline_are_no_players(x) -> None:
    """Whatever their number: one player has all of the change, and nobody leaves nothing to explain."""
    given = np.concatenate([x.x, x.x[::-1]])
    for sample, players in enumerate([D, 3, 2, 1, 0] + [4] * 19):
        given[sample, players:] = 0.5
    many = Samples(tuple(f"v/{i}" for i in range(24)), given, None)
    found = maps("kernel_shap", vectors(), many, baseline=0.5, explained="own", coalitions=30)
    classes = (given @ WEIGHT.T).argmax(axis=1)
    expected = (WEIGHT - WEIGHT.mean(axis=0))[classes] * (given - 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert (found[expected == 0] == 0).all()


@pytest.mark.parametrize(("name", "given"), [("rise", {"masks": 2000}), ("occlusion", {"window": 1, "stride": 1})])
def test_a_network_of_one_pixel_is_explained_by_it(images, name, given) -> None:
    def score(x):
        return np.stack([4 * x[:, 0, 6, 2], np.zeros(len(x))], axis=1)

    bright = replace(images, x=np.maximum(images.x, 0.5))
    found = maps(name, function(score, (2, 8, 9), classes=2), bright, **given)[:, 0]
    for each in found:
        peak = np.unravel_index(each.argmax(), each.shape)
        assert np.abs(np.subtract(peak, (6, 2))).max() <= (1 if name == "rise" else 0)
    assert (found[:, 6, 2] > 0).all()  # it speaks for the class


@pytest.mark.parametrize("name", MASKS)
def test_every_network_is_shown_the_same_inputs(images, name) -> None:
    shown: dict[str, list[np.ndarray]] = {}

    def network(label, factor):
        def score(x):
            shown.setdefault(label, []).append(np.array(x))
            flat = x.reshape(len(x), -1).astype(np.float64)
            return np.stack([factor * flat.sum(axis=1), flat[:, 3], flat[:, 40]], axis=1)

        return function(score, (2, 8, 9))

    one, other = network("one", 1.0), network("other", -2.0)
    for label in ("one", "other", "again"):
        predictor = {"one": one, "other": other}.get(label) or network("again", 1.0)
        shown.clear()
        answers(metric(name), predictor, images, other, seed=4, floor=label == "again")
        asked = np.concatenate(shown[label])
        if label == "one":
            expected = asked
        elif label == "again":
            np.testing.assert_array_equal(asked, expected)
        else:  # it was asked for its logits before
            np.testing.assert_array_equal(asked[-len(expected) :], expected)
    first, second = (maps(name, one, images, other, seed=seed) for seed in (4, 5))
    assert (first == second).all() == (name == "occlusion")


@pytest.mark.parametrize("name", ["smoothgrad", "gradient_shap"])
def test_noise_belongs_to_the_seed_and_the_sample(predictors, samples, name) -> None:
    few = samples.take(slice(0, 6))
    reference = predictors["reference"]
    found = maps(name, reference, few, reference, seed=1)
    np.testing.assert_allclose(maps(name, reference, few.take([4]), reference, seed=1), found[4:5], atol=1e-5)
    assert np.abs(maps(name, reference, few, reference, seed=2) - found).max() > 1e-3
    twice = replace(few.take([0, 0]), ids=("a", "b"))
    assert np.abs(np.diff(maps(name, reference, twice, reference, seed=1), axis=0)).max() > 1e-3


def test_noisy_inputs_stay_in_bounds(x) -> None:
    seen: list[torch.Tensor] = []

    class Watching(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return x[:, :3] ** 2

    declared = InputSpec((D,), tuple("abc"), (0.0, 1.0))
    predictor = open_predictor(TorchNetwork(Watching(), declared), TORCH)
    inside = replace(x, x=np.abs(np.tanh(x.x)))
    for name in ("smoothgrad", "gradient_shap"):
        maps(name, predictor, inside, noise=0.5)
    asked = torch.cat(seen)
    assert asked.min() == 0
    assert asked.max() == 1


@pytest.mark.parametrize("name", [*GRADIENTS, "grad_cam", *MASKS])
def test_a_file_gives_the_maps_of_its_module(predictors, samples, name) -> None:
    few, reference = samples.take(slice(0, 20)), predictors["reference"]
    found = [maps(name, predictors[network], few, reference) for network in ("reference", "onnx")]
    assert np.abs(found[0]).max() > 0.05
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=2e-5)
    eight, other = (maps(name, predictors[network], few, reference) for network in ("onnx8", "retrained"))
    change = [np.abs(each - found[0]).mean() for each in (eight, other)]
    assert 0 < change[0] < 0.6 * change[1]


def test_memory_holds_some_batches_and_results_do_not_know(monkeypatch, predictors, samples) -> None:
    few, reference = samples.take(slice(0, 7)), predictors["reference"]
    whole = {name: maps(name, reference, few) for name in MASKS}
    largest = []

    def watched(predictor, rows):
        largest.append(len(rows))
        return log_probabilities(predictor, rows)

    log_probabilities = masked.log_probabilities
    monkeypatch.setattr(masked, "log_probabilities", watched)
    monkeypatch.setattr(masked, "ENTRIES", 1)
    for name, expected in whole.items():
        np.testing.assert_array_equal(maps(name, reference, few), expected)
    assert max(largest) == reference.batch_size // 2


def test_folding_a_batch_norm_leaves_grad_cam_as_it_is(digits, networks, predictors, samples) -> None:
    context = StepContext(digits.train, digits.calibration, None, 0)
    folded = open_predictor(run_step(steps.get("bn-fold")(), networks["reference"], context), TORCH)
    reference = predictors["reference"]
    expected = maps("grad_cam", reference, samples, reference)
    np.testing.assert_allclose(maps("grad_cam", folded, samples, reference), expected, rtol=1e-4, atol=1e-5)


def test_grad_cam_of_a_network_of_two_channels(images) -> None:
    """Channel 0 is evidence for class 0: where it is larger than channel 1, and by how much."""

    class TwoChannels(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1, bias=False)
            self.conv.weight.data = torch.eye(2)[:, :, None, None]

        def forward(self, x):
            return self.conv(x).mean(dim=(2, 3))

    declared = InputSpec((2, 8, 9), ("a", "b"))
    predictor = open_predictor(TorchNetwork(TwoChannels(), declared), TORCH)
    classes = images.x.mean(axis=(2, 3)).argmax(axis=1)
    sign = np.where(classes == 0, 1, -1)[:, None, None]
    expected = np.maximum(sign * (images.x[:, 0] - images.x[:, 1]).astype(np.float64), 0) / 2 / 72
    np.testing.assert_allclose(maps("grad_cam", predictor, images)[:, 0], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("name", "shape"), [("convnet", [2, 2]), ("flatten", [2, 2]), ("pool", [4, 4])])
def test_grad_cam_says_which_map_it_read(zoo, samples, name, shape) -> None:
    shown = answers(metric("grad_cam"), open_predictor(zoo(name), TORCH), samples)
    assert shown.notes["feature_map"] == shape


def test_the_patches_of_a_transformer_say_nothing(zoo, samples) -> None:
    """Its only feature map is that of its first layer, and attention reads positions apart."""
    with pytest.raises(NotApplicable, match=r"its maps are constant on \d+\.\d% of 120 samples"):
        maps("grad_cam", open_predictor(zoo("transformer"), TORCH), samples)


def test_what_vectors_do_not_have_is_refused(x) -> None:
    for name, said in (
        ("rise", "RISE enlarges masks of images"),
        ("grad_cam", "Grad-CAM is of feature maps of images"),
    ):
        with pytest.raises(NotApplicable, match=rf"{said}; these are vectors of {D} features"):
            maps(name, vectors(), x)


def test_grad_cam_needs_a_convolution_whose_map_it_can_read(digits, zoo, samples) -> None:
    with pytest.raises(NotApplicable, match="no convolution with more than one position was seen"):
        maps("grad_cam", open_predictor(zoo("mlp"), TORCH), samples)
    network = zoo("flatten")
    context = StepContext(digits.train, digits.calibration, None, 0)
    for step in ("onnx-export", "ort-static-quant"):
        network = run_step(steps.get(step)(), network, context)
    edge = open_predictor(network, Target(name="edge", runtime="onnxruntime", integer_sums="exact"))
    with pytest.raises(NotApplicable, match="read as codes of integers"):
        maps("grad_cam", edge, samples)
    assert maps("saliency", edge, samples).any()


def test_grad_cam_of_a_file_with_a_batch_of_its_own(networks, predictors, samples) -> None:
    """The file is run once for each four samples, and every run has a feature map of its own."""
    model = onnx.load_from_string(networks["onnx"].model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    fixed = replace(networks["onnx"], model=model.SerializeToString())
    predictor = open_predictor(fixed, Target(name="edge", runtime="onnxruntime"))
    assert predictor.fixed_batch == 4
    few, reference = samples.take(slice(0, 10)), predictors["reference"]
    expected = maps("grad_cam", reference, few, reference)
    np.testing.assert_allclose(maps("grad_cam", predictor, few, reference), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_grad_cam_does_not_see_into_torchscript(networks, samples) -> None:
    traced = torch.jit.trace(networks["reference"].module, torch.from_numpy(samples.x[:2]))
    predictor = open_predictor(replace(networks["reference"], module=traced), TORCH)
    with pytest.raises(NotApplicable, match="in code that is not TorchScript"):
        maps("grad_cam", predictor, samples)


@pytest.mark.parametrize("name", [*GRADIENTS, "grad_cam"])
def test_a_function_has_no_gradients(images, name) -> None:
    predictor = function(lambda x: x.reshape(len(x), -1)[:, :3], (2, 8, 9))
    with pytest.raises(NotApplicable, match="a function of arrays gives no input gradients"):
        maps(name, predictor, images)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("occlusion", {"window": 9}, "attribution.occlusion: a window of 9 does not fit an axis of 8; give 1 to 8"),
        ("occlusion", {"window": 2, "stride": 3}, "a stride of 3 leaves gaps between windows of 2; give 1 to 2"),
        ("rise", {"grid": 9}, "attribution.rise.grid: 9 cells do not fit images of 8 x 9 pixels; give 1 to 8"),
        ("kernel_shap", {"grid": 9}, "attribution.kernel_shap.grid: 9 cells do not fit an axis of 8; give 1 to 8"),
        ("kernel_shap", {"grid": 7}, "40 coalitions are few for 49 segments; give 196 or more, or a smaller grid"),
        ("rise", {"baseline": 1.5}, r"attribution.rise.baseline: 1.5 is out of bounds; give 0.0 to 1.0"),
        ("occlusion", {"baseline": -1}, "attribution.occlusion.baseline: -1.0 is out of bounds"),
        ("kernel_shap", {"baseline": 2}, "attribution.kernel_shap.baseline: 2.0 is out of bounds"),
    ],
)
def test_what_does_not_fit_is_the_users_error(images, name, given, said) -> None:
    predictor = function(lambda x: x.reshape(len(x), -1)[:, :3], (2, 8, 9))
    with pytest.raises(UserError, match=said):
        maps(name, predictor, images, **given)


def test_costly_metrics_ask_some_samples_and_are_not_chosen_by_default(images) -> None:
    chosen = {item.name for item in as_metrics((), "metrics", labelled=True)}
    assert "fidelity.predictions" in chosen
    assert not {f"attribution.{name}" for name in MASKS} & chosen
    asked = metric("rise")
    assert (asked.samples, asked.count(500), asked.count(20)) == (32, 32, 20)
    assert not asked.too_many(20)
    more = metric("rise", samples=40)
    assert (more.count(500), more.too_many(20)) == (40, True)


def test_functions_are_compared_without_a_word_about_gradients(images) -> None:
    def network(factor):
        def score(x):
            flat = x.reshape(len(x), -1)
            return np.stack([flat[:, 5] * factor, flat[:, 30], flat[:, 60]], axis=1).astype(np.float32) * 5

        return score

    names = [f"attribution.{name}" for name in MASKS]
    small = "attribution.rise[masks=40,grid=4]", "attribution.kernel_shap[grid=3,coalitions=40]", names[0]
    same = bench.diff(network(1.0), network(1.0), images.x, metrics=small)
    moved = bench.diff(network(1.0), network(3.0), images.x, metrics=small)
    for found, check in ((same, lambda gap: gap == 0), (moved, lambda gap: gap > 0.001)):
        assert {cell.status for cell in found.cells} == {"ok"}
        for cell in found.cells:
            assert cell.n == len(images)
            assert all(check(value.estimate) for name, value in cell.values.items() if name == "cosine_distance")
            assert ("sign_disagreement" in cell.values) == (cell.metric != "attribution.rise")
