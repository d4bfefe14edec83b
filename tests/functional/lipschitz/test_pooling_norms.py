"""Constants of pooling layers against torch's layers: their matrices, and difference quotients that were searched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.functional.lipschitz.layer_norms.pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    max_pool,
)
from bench.stats.streams import generator

MAX = {1: functional.max_pool1d, 2: functional.max_pool2d}
AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d}


def geometry(number: int, dilated: bool) -> tuple[tuple[int, ...], ...] | None:
    """Sizes, kernels, strides, paddings and dilations that torch accepts, or None."""
    random = generator("random pooling", number)
    axes = int(random.integers(1, 3))
    size, kernel, stride = random.integers(1, 9, axes), random.integers(1, 5, axes), random.integers(1, 4, axes)
    padding, dilation = random.integers(0, 3, axes), random.integers(1, 3 if dilated else 2, axes)
    fits = (padding * 2 <= kernel) & (size + 2 * padding >= dilation * (kernel - 1) + 1)
    return tuple(tuple(values.tolist()) for values in (size, kernel, stride, padding, dilation)) if fits.all() else None


def geometries(count: int, dilated: bool = False):
    found = ((number, geometry(number, dilated)) for number in range(10**6))
    cases = ((number, case) for number, case in found if case)
    return [next(cases) for _ in range(count)]


def quotients(layer, size: tuple[int, ...], seed: int) -> float:
    """The largest difference quotient: one pixel moved at a time, then random pairs."""
    random = generator("quotients", seed)
    base = torch.from_numpy(random.normal(size=(int(np.prod(size)), 1, *size)))
    moved = base.clone().flatten(1)
    moved[range(len(base)), range(len(base))] += 100.0
    raised = base.flatten(1)
    raised[range(len(base)), range(len(base))] += 50.0
    one_pixel = layer(raised.view_as(base)) - layer(moved.view_as(base))
    pairs = torch.from_numpy(random.normal(size=(2, 50, 1, *size)))
    outputs = (layer(pairs[0]) - layer(pairs[1])).flatten(1).norm(dim=1) / (pairs[0] - pairs[1]).flatten(1).norm(dim=1)
    return max(float((one_pixel.flatten(1).norm(dim=1) / 50).max()), float(outputs.max()))


@pytest.mark.parametrize("ceil", [False, True])
def test_max_pooling_has_the_largest_quotient_found_and_none_is_above(ceil: bool) -> None:
    refused = 0
    for number, (size, kernel, stride, padding, dilation) in geometries(100, dilated=True):

        def layer(x, arguments=(kernel, stride, padding, dilation, ceil)):
            return MAX[x.ndim - 2](x, *arguments)

        if torch.isinf(layer(torch.zeros(1, 1, *size))).any():
            with pytest.raises(ValueError, match="nothing but padding"):
                max_pool(size, kernel, stride, padding, dilation, ceil)
            refused += 1
            continue
        found, norm = quotients(layer, size, number), max_pool(size, kernel, stride, padding, dilation, ceil)
        assert found <= norm.upper * (1 + 1e-12), (number, size, kernel)
        assert found >= norm.lower * (1 - 1e-12), (number, size, kernel)
    assert refused < 40


@pytest.mark.parametrize(
    ("kernel", "stride", "root"), [(2, 2, 1), (3, 2, 2), (3, 1, 3), (5, 2, 3)], ids=lambda value: str(value)
)
def test_max_pooling_of_large_maps(kernel: int, stride: int, root: int) -> None:
    """√(windows over a pixel) = ⌈kernel / stride⌉ in two axes."""
    assert max_pool((32, 32), kernel, stride).upper == pytest.approx(root)
    assert max_pool((32, 32), kernel, stride, norm="linf").upper == 1
    assert max_pool((32, 32), 2).upper == 1  # exactly


def pixels_to_outputs(layer, size: tuple[int, ...]) -> np.ndarray:
    basis = torch.eye(int(np.prod(size)), dtype=torch.float64).reshape(-1, 1, *size)
    return layer(basis).flatten(1).numpy().T


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_average_pooling_has_the_norms_of_its_matrix(ceil: bool, counted: bool) -> None:
    for number, (size, kernel, stride, padding, _) in geometries(60):

        def layer(x, arguments=(kernel, stride, padding, ceil, counted)):
            return AVERAGE[x.ndim - 2](x, *arguments)

        true = pixels_to_outputs(layer, size)
        exact, norm = np.linalg.norm(true, 2), average_pool(size, kernel, stride, padding, ceil, counted)
        assert norm.lower <= exact <= norm.upper <= exact * (1 + 1e-8), (number, size, kernel)
        rows, norm = np.abs(true).sum(axis=1).max(), average_pool(size, kernel, stride, padding, ceil, counted, "linf")
        assert norm.upper == pytest.approx(rows, rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "norm"), [(2, 2, 0, 0.5), (3, 2, 1, 0.5335), (3, 1, 1, 0.9668)]
)
def test_average_pooling_of_13_by_13_pixels(kernel: int, stride: int, padding: int, norm: float) -> None:
    assert average_pool((13, 13), kernel, stride, padding).upper == pytest.approx(norm, abs=6e-5)


@pytest.mark.parametrize(("size", "outputs"), [((7,), (3,)), ((5, 6), (2, 4)), ((4, 3), (1, 1)), ((3, 2), (5, 2))])
def test_adaptive_pooling(size: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    average = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d)[len(size) - 1]
    true = pixels_to_outputs(lambda x: average(x, outputs), size)
    exact, norm = np.linalg.norm(true, 2), adaptive_average_pool(size, outputs)
    assert norm.lower <= exact <= norm.upper <= exact * (1 + 1e-8)
    assert adaptive_average_pool(size, outputs, "linf").upper == pytest.approx(1)
    maximum = (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d)[len(size) - 1]
    found, norm = quotients(lambda x: maximum(x, outputs), size, 0), adaptive_max_pool(size, outputs)
    assert norm.lower <= found * (1 + 1e-12)
    assert found <= norm.upper * (1 + 1e-12)
    assert adaptive_max_pool(size, outputs, "linf").upper == 1


def test_the_global_average() -> None:
    assert adaptive_average_pool((7, 7), 1).upper == pytest.approx(1 / 7)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^pool: a window of 3 pixels does not fit 2 pixels"):
        max_pool(2, 3, layer="pool")
    with pytest.raises(ValueError, match="kernel"):
        average_pool((4, 4), (2, 2, 2))
    with pytest.raises(ValueError, match="at least 1 is needed"):
        adaptive_max_pool(4, 0)
