"""Probes that are asked by blocks of samples: the same arrays, whatever the blocks and wherever they lie."""

import numpy as np
import pytest

from bench.engine import asking
from bench.engine.asking import ask_in_blocks, block_size
from bench.engine.in_memory import needed_by
from bench.engine.observations import _check_finite
from bench.engine.row_blocks import by_rows
from bench.functional import divergences, jacobian, similarity
from bench.probes.base import TRIAL, Context, Observation, Probe
from bench.probes.grad_cam import GradCam
from bench.probes.gradient_shap import GradientShap
from bench.probes.integrated_gradients import IntegratedGradients
from bench.probes.jacobian import Jacobian
from bench.probes.kernel_shap import KernelShap
from bench.probes.logits import Logits
from bench.probes.occlusion import Occlusion
from bench.probes.pgd import PGDAttack
from bench.probes.rise import Rise
from bench.probes.smoothgrad import SmoothGrad
from bench.store import rows as kept_rows
from bench.store.spill import is_mapped

PROBES = [Logits(), Jacobian(), IntegratedGradients(steps=2, most_steps=4), PGDAttack(epsilon=0.1, steps=2)]
MAPS = [
    GradCam(), SmoothGrad(draws=2), GradientShap(draws=2), Occlusion(), Rise(masks=9), KernelShap(grid=3, coalitions=36)
]  # fmt: skip


@pytest.fixture
def context(predictors, samples):
    needed = needed_by(PROBES[2], samples, predictors["reference"])  # the logits too
    return Context(seed=3, count=len(samples), trial=samples.x[:TRIAL], reference=needed)


@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("probe", [*PROBES, *MAPS], ids=lambda probe: probe.name)
def test_blocks_answer_what_all_samples_at_once_do_and_lie_in_files(
    predictors, samples, context, monkeypatch, probe, size
):
    network = predictors["retrained"]
    whole = probe.ask(network, samples, context)
    monkeypatch.setattr(asking, "block_size", lambda probe, predictor: size)
    monkeypatch.setattr(kept_rows, "LARGE", 0)
    found = ask_in_blocks(probe, network, samples, context)
    assert found.notes == whole.notes
    assert found.arrays.keys() == whole.arrays.keys()
    for name, array in whole.arrays.items():
        assert is_mapped(found.arrays[name])
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


class Odd(Probe):
    """Answers other things in later blocks."""

    arrays = ("a", "b")

    def __init__(self, how):
        object.__setattr__(self, "how", how)

    def ask(self, predictor, samples, context):
        later = samples.ids[0] != predictor
        arrays = {"a": np.zeros((len(samples), 2 + (later and self.how == "axes")))}
        if self.how == "type":
            arrays["a"] = arrays["a"].astype(np.float32 if later else np.float64)
        if self.how == "rows" and later:
            arrays["a"] = arrays["a"][1:]
        if self.how == "names" and later:
            arrays["b"] = arrays["a"]
        return Observation(arrays, {"later": later} if self.how == "notes" else {})


@pytest.mark.parametrize("how", ["axes", "type", "rows", "names", "notes"])
def test_blocks_that_do_not_fit_together_are_a_fault_of_the_probe(samples, monkeypatch, how):
    monkeypatch.setattr(asking, "block_size", lambda probe, predictor: 50)
    with pytest.raises((ValueError, RuntimeError), match=r"blocks|rows of an array"):
        ask_in_blocks(Odd(how), samples.ids[0], samples, Context(0))


class Wide(Probe):
    """Rows of many numbers."""

    arrays = ("a",)

    def __init__(self, entries):
        object.__setattr__(self, "many", entries)

    def entries(self, inputs, classes):
        return self.many

    def ask(self, predictor, samples, context):
        raise AssertionError


@pytest.mark.parametrize(
    ("entries", "size"), [(1, 131072), (7840, 1024), (32768, 256), (2**18, 256), (2**19, 128), (2**25, 2), (2**30, 1)]
)
def test_a_block_is_never_more_than_some_hundred_megabytes_or_one_sample(predictors, entries, size):
    assert block_size(Wide(entries), predictors["reference"]) == size


def test_numbers_that_are_none_are_counted_over_all_blocks(monkeypatch):
    from bench.engine import row_blocks

    monkeypatch.setattr(row_blocks, "BLOCK", 8)
    array = np.zeros((10, 4))
    array[[0, 5, 9], 1] = np.nan, np.inf, -np.inf
    with pytest.raises(ArithmeticError, match="3 of 40 values in 'x' are NaN or infinite"):
        _check_finite({"x": array})
    _check_finite({"x": np.zeros((10, 4)), "one": np.array(1.0), "none": np.zeros((0, 3)), "flags": np.ones(3, bool)})
    with pytest.raises(ArithmeticError, match="1 of 1 values"):
        _check_finite({"one": np.array(np.nan)})


def test_rows_made_in_blocks_are_those_made_at_once(monkeypatch):
    from bench.engine import row_blocks

    a, b = np.random.default_rng(0).normal(size=(2, 33, 5))
    whole = by_rows(lambda a, b: a * b, [a, b])
    monkeypatch.setattr(row_blocks, "BLOCK", 20)
    for large in (0, 2**30):
        monkeypatch.setattr(kept_rows, "LARGE", large)
        found = by_rows(lambda a, b: a * b, [a, b])
        assert is_mapped(found) == (large == 0)
        np.testing.assert_array_equal(found, whole)
    with pytest.raises(ValueError, match="rows of an array"):
        by_rows(lambda a, b: (a * b)[1:], [a, b])


@pytest.mark.parametrize("block", [1, 100, 4001])
def test_no_bit_of_what_metrics_make_row_by_row_depends_on_the_block(monkeypatch, block):
    from bench.engine import row_blocks

    random = np.random.default_rng(0)
    maps, jacobians = random.normal(size=(2, 40, 1, 8, 8)), random.normal(size=(2, 40, 5, 64)).astype(np.float32)
    maps[:, ::3] = np.round(maps[:, ::3])  # ties
    logits = 5 * random.normal(size=(2, 40, 10))
    asked = [
        (similarity.cosine_distance, list(maps)),
        (similarity.spearman_distance, list(maps)),
        (similarity.all_zero, [maps[0]]),
        (jacobian.jacobian_difference, list(jacobians)),
        (jacobian.spectral_norms, [jacobians[0]]),
        (divergences.jensen_shannon, [divergences.log_mean_probabilities(each[None]) for each in logits]),
        (divergences.flips, list(logits)),
        (divergences.centred, [logits[0]]),
        (divergences.relative_difference, list(logits)),
    ]
    monkeypatch.setattr(row_blocks, "BLOCK", 2**40)
    whole = [by_rows(function, arrays) for function, arrays in asked]
    monkeypatch.setattr(row_blocks, "BLOCK", block)
    for (function, arrays), expected in zip(asked, whole, strict=True):
        np.testing.assert_array_equal(by_rows(function, arrays), expected, err_msg=function.__name__)
