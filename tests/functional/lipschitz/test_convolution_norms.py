"""Norms of convolutions against the singular values and row sums of their matrices, as torch builds them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bench.functional.lipschitz.layer_norms import convolution as rule
from bench.functional.lipschitz.layer_norms import symbol
from bench.functional.lipschitz.layer_norms.convolution import convolution_l2, convolution_linf, transposed_size
from bench.functional.lipschitz.layer_norms.geometry import Axis
from bench.functional.lipschitz.layer_norms.lanczos import convolution_lower
from bench.functional.lipschitz.layer_norms.symbol import Grid, zero_padded_grid
from bench.stats.streams import generator

CONVOLVE = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}
TRANSPOSE = {1: torch.nn.functional.conv_transpose1d, 2: torch.nn.functional.conv_transpose2d}


class Case(NamedTuple):
    kernel: np.ndarray
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str = "zeros"


def random_case(number: int, largest: int = 8) -> Case:
    """Channels, sizes, taps, strides, dilations, paddings and groups at random, the axes unlike each other."""
    random = generator("random convolutions", number)
    axes, groups = int(random.integers(1, 3)), int(random.integers(1, 3))
    while True:
        size, taps = random.integers(1, largest + 1, axes), random.integers(1, 6, axes)
        stride, dilation = random.integers(1, 4, axes), random.integers(1, 3, axes)
        before, after = random.integers(0, 4, (2, axes))
        if (size + before + after >= dilation * (taps - 1) + 1).all():
            break
    shape = (groups * random.integers(1, 4), random.integers(1, 4), *taps)
    padding = tuple(zip(before.tolist(), after.tolist(), strict=True))
    kernel = random.normal(size=shape) + random.normal() * random.integers(0, 2)
    return Case(kernel, tuple(size.tolist()), tuple(stride.tolist()), padding, tuple(dilation.tolist()), groups)


def matrix(case: Case) -> np.ndarray:
    """The matrix of a convolution, one column an input pixel, from torch."""
    shape = (case.kernel.shape[1] * case.groups, *case.size)
    basis = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
    flat = [pad for pair in reversed(case.padding) for pad in pair]
    padded = torch.nn.functional.pad(basis, flat, mode="constant" if case.padding_mode == "zeros" else "circular")
    weight = torch.from_numpy(case.kernel)
    convolve = CONVOLVE[len(case.size)]
    return convolve(padded, weight, None, case.stride, 0, case.dilation, case.groups).flatten(1).numpy().T


def symbol_over_exact(numbers: range) -> list[float]:
    """The symbol's bound over the true norm in each random case; the operator's own matrix must give the norm."""
    found = []
    for case in map(random_case, numbers):
        exact = np.linalg.norm(matrix(case), 2)
        bound, own = convolution_l2(*case, exact=False), convolution_l2(*case)
        assert bound.lower <= exact <= bound.upper, case
        assert own.lower <= exact * (1 + 1e-12), case
        assert exact <= own.upper <= exact * (1 + 3e-9), case
        if exact > 0:
            found.append(bound.upper / exact)
        else:
            assert bound.upper == 0
    return found


def test_the_symbol_is_never_below_the_norm_and_seldom_far_above_it() -> None:
    ratios = symbol_over_exact(range(150))
    assert 1 < np.median(ratios) < 1.1
    assert max(ratios) < 2


@pytest.mark.parametrize(("taps", "size"), [((1, 0, -1), 2), ((1, 1, -1, -1, 0), 2), ((-2, -1, 2), 2)])
def test_the_circle_of_the_input_alone_is_too_small(taps: tuple[int, ...], size: int) -> None:
    """The first: [[0, −1], [1, 0]] has norm 1; the symbol 1 − e^{−2iw} is 0 at both frequencies of a circle of 2."""
    case = Case(np.array([[taps]], dtype=float), (size,), (1,), ((len(taps) // 2,) * 2,), (1,), 1)
    exact = np.linalg.norm(matrix(case), 2)
    circle = np.exp(-2j * np.pi / size * np.outer(np.arange(size), np.arange(len(taps))))
    assert np.abs(circle @ taps).max() < exact
    assert exact <= convolution_l2(*case, exact=False).upper


def test_no_pixel_meets_a_tap_that_it_does_not_meet_on_the_map() -> None:
    """By all pixels, outputs and taps; at stride 1 the circle has size + max(before, after) points."""
    for number in range(60):
        case = random_case(number)
        for a, (size, taps) in enumerate(zip(case.size, case.kernel.shape[2:], strict=True)):
            axis = Axis(size, taps, case.stride[a], *case.padding[a], 1)
            grid = zero_padded_grid(axis)
            assert grid.points == 1 or sound(axis, grid.points)
            if size + sum(case.padding[a]) > 2 * (taps - 1) and axis.stride == 1:
                dilated = replace(axis, dilation=2)  # the symbol is of undilated taps, on half of the points
                assert zero_padded_grid(dilated).points == 1 or sound(dilated, 2 * zero_padded_grid(dilated).points)
            if axis.stride == 1 and all(pad < taps for pad in case.padding[a]) and grid.points > 1 and grid.used.all():
                assert grid.points == size + max(case.padding[a])


def sound(axis: Axis, points: int) -> bool:
    """Whether pixel and output meet on the circle at the taps at which they meet on the map, and only there."""
    used = np.flatnonzero(axis.inside().any(axis=0)) * axis.dilation
    outputs = np.flatnonzero(axis.inside().any(axis=1))
    for output in outputs:
        for pixel in range(axis.size):
            offset = pixel + axis.before - output * axis.stride
            on_the_map = [t for t in used if t == offset]
            on_the_circle = [t for t in used if (t - offset) % (points * axis.stride) == 0]
            if on_the_map != on_the_circle:
                return False
    return True


@pytest.mark.parametrize("size", [(5, 3), (4, 7)])
def test_more_frequencies_than_needed_bound_the_norm_too(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = generator("more frequencies", *size).normal(size=(2, 3, 3, 4))
    case = Case(kernel, size, (2, 1), ((1, 1), (2, 1)), (1, 1), 1)
    exact = np.linalg.norm(matrix(case), 2)
    for more in range(6):

        def larger(axis: Axis, more: int = more) -> Grid:
            return replace(zero_padded_grid(axis), points=zero_padded_grid(axis).points + more)

        monkeypatch.setattr(rule, "zero_padded_grid", larger)
        assert exact <= convolution_l2(*case, exact=False).upper <= 2 * exact


@pytest.mark.parametrize(("stride", "exact"), [(1, True), (2, True), (3, False)])
def test_circular_padding(stride: int, exact: bool) -> None:
    random = generator("circular convolutions", stride)
    for taps in (1, 2, 3, 5):
        kernel = random.normal(size=(3, 2, taps, 3))
        pads = ((taps // 2, (taps - 1) // 2), (1, 1))
        case = Case(kernel, (8, 6), (stride, stride), pads, (1, 1), 1, "circular")
        truth, norm = np.linalg.norm(matrix(case), 2), convolution_l2(*case, exact=False)
        assert norm.lower <= truth <= norm.upper
        if exact:
            assert norm.upper <= truth * (1 + 3e-9)
            assert norm.lower >= truth * (1 - 3e-9)
        own = convolution_l2(*case)
        assert own.lower <= truth * (1 + 1e-12)
        assert truth <= own.upper <= truth * (1 + 3e-9)
        rows = np.abs(matrix(case)).sum(axis=1).max()
        assert convolution_linf(*case).upper == pytest.approx(rows, rel=1e-12)


def test_circular_padding_beyond_the_circle_folds_the_kernel() -> None:
    case = Case(np.array([[[1.0, 2.0, 3.0, -1.0, 4.0]]]), (3,), (1,), ((2, 2),), (1,), 1, "circular")
    truth = np.linalg.norm(matrix(case), 2)  # taps 1 and −1, 2 and 4 fall together
    assert convolution_l2(*case).upper == pytest.approx(truth, rel=3e-9)
    assert convolution_linf(*case).upper == pytest.approx(np.abs(matrix(case)).sum(axis=1).max(), rel=1e-12)


def test_more_outputs_than_the_circle_has() -> None:
    kernel = np.array([[[1.0, 0.5]]])
    for stride, pads in ((1, (2, 3)), (2, (4, 3)), (3, (4, 4))):
        case = Case(kernel, (4,), (stride,), (pads,), (1,), 1, "circular")
        truth = np.linalg.norm(matrix(case), 2)
        norm = convolution_l2(*case, exact=False)
        assert norm.lower == 0
        assert truth <= norm.upper <= 1.6 * truth


@pytest.mark.parametrize("taps", [(1.0, 2.0**-54, -1.0), (2.0**-54, 1.0, -1.0), (-1.0, 2.0**-54, 1.0)])
def test_taps_that_cancel_on_a_circle_of_one_pixel(taps: tuple[float, ...]) -> None:
    """Their true sum is 2^−54; float64 may say 0."""
    case = Case(np.array([[taps]]), (1,), (1,), ((1, 1),), (1,), 1, "circular")
    assert convolution_l2(*case).upper >= 2.0**-54
    assert convolution_linf(*case).upper >= 2.0**-54


def test_frequencies_in_pieces_give_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    random = generator("pieces")
    layers = [(random.normal(size=(width, width, 3, 3)), (4, 3)) for width in (2, 26)]
    whole = [convolution_l2(*layer, padding=1, exact=False).upper for layer in layers]
    monkeypatch.setattr(symbol, "CHUNK", 1)
    pieces = [convolution_l2(*layer, padding=1, exact=False).upper for layer in layers]
    assert pieces == pytest.approx(whole, rel=1e-13)


def test_row_sums_of_the_true_operator() -> None:
    for case in map(random_case, range(1000, 1080)):
        true = np.abs(matrix(case))
        for transposed, truth in ((False, true.sum(axis=1).max()), (True, true.sum(axis=0).max())):
            norm = convolution_linf(*case, transposed=transposed)
            assert norm.lower <= truth * (1 + 1e-14), case
            assert truth * (1 - 1e-14) <= norm.upper <= truth * (1 + 1e-12), case


def test_a_small_map_crops_the_kernel() -> None:
    kernel = np.ones((1, 1, 3, 3))
    assert convolution_linf(kernel, (1, 1), padding=1).upper == pytest.approx(1)
    assert convolution_linf(kernel, (2, 2), padding=1).upper == pytest.approx(4)
    assert convolution_linf(kernel, (3, 9), padding=1).upper == pytest.approx(9)


@pytest.mark.parametrize("output_padding", [0, 1])
def test_a_transposed_convolution_has_the_norms_of_its_transpose(output_padding: int) -> None:
    random = generator("transposed convolutions", output_padding)
    kernel, size = random.normal(size=(4, 3, 3, 2)), (3, 4)  # (inputs, outputs / groups, taps) of torch
    whole = transposed_size(size, (3, 2), 2, (1, 0), (2, 1), output_padding)
    basis = torch.eye(4 * 12, dtype=torch.float64).reshape(-1, 4, *size)
    weight = torch.from_numpy(kernel)
    images = TRANSPOSE[2](basis, weight, None, 2, (1, 0), output_padding, 2, (2, 1))
    assert images.shape[2:] == whole
    true = images.flatten(1).numpy().T
    exact = np.linalg.norm(true, 2)
    arguments = (kernel, whole, 2, (1, 0), (2, 1), 2)
    assert exact <= convolution_l2(*arguments, exact=False).upper
    assert convolution_l2(*arguments).upper == pytest.approx(exact, rel=3e-9)
    rows = np.abs(true).sum(axis=1).max()
    assert convolution_linf(*arguments, transposed=True).upper == pytest.approx(rows, rel=1e-12)


def test_a_published_kernel() -> None:
    """64 channels, 5 × 5, 12 × 12 pixels: the circle of 14 × 14 has 80.578; Lanczos iteration reaches 78.0177."""
    torch.manual_seed(42)
    kernel = torch.randn(64, 64, 5, 5, dtype=torch.float64).numpy()
    upper = convolution_l2(kernel, 12, padding=2).upper
    assert 80.578 <= upper <= 80.61
    lower = convolution_lower(kernel, (12, 12), padding=2)
    assert lower == pytest.approx(78.0177, abs=1e-4)  # 78.016 after 200 steps of power iteration
    assert lower < upper


def test_the_kernel_of_two_layers_bounds_nothing() -> None:
    """Zero padding crops between two layers: their composed kernel has a symbol below the norm of the two."""
    first, second = (-2.13220696, -2.19858862, -0.84477654), (0.46295359, -1.11981482, 1.10872162)
    cases = [Case(np.array([[taps]]), (8,), (1,), ((1, 1),), (1,), 1) for taps in (first, second)]
    true = np.linalg.norm(matrix(cases[1]) @ matrix(cases[0]), 2)
    assert true == pytest.approx(3.6021, abs=1e-4)
    composed, turns = np.convolve(first, second), np.exp(-2j * np.pi / 5000 * np.outer(np.arange(5000), np.arange(5)))
    assert np.abs(turns @ composed).max() == pytest.approx(3.2952, abs=1e-4)  # over all frequencies
    one_layer = convolution_l2(composed[None, None], 8, padding=2, exact=False).upper
    assert one_layer < true  # a bound on one layer of five taps, and on nothing else
    assert np.linalg.norm(matrix(Case(composed[None, None], (8,), (1,), ((2, 2),), (1,), 1)), 2) <= one_layer
    assert true <= np.prod([convolution_l2(*case, exact=False).upper for case in cases])


def test_three_axes_and_one_tap() -> None:
    random = generator("three axes")
    case = Case(random.normal(size=(2, 2, 2, 1, 3)), (3, 2, 4), (1, 1, 2), ((1, 0), (0, 0), (1, 1)), (1, 1, 1), 1)
    exact = np.linalg.norm(matrix(case), 2)
    assert exact <= convolution_l2(*case, exact=False).upper <= 1.5 * exact
    pointwise = random.normal(size=(5, 3, 1, 1))
    norm = convolution_l2(pointwise, (9, 7), stride=2, padding=1, exact=False)
    assert norm.upper == pytest.approx(np.linalg.norm(pointwise[:, :, 0, 0], 2), rel=3e-9)
    assert norm.rule == "symbol on 1×1 frequencies, SVD"


def test_a_kernel_that_meets_nothing_but_padding_has_norm_zero() -> None:
    norm = convolution_l2(np.ones((1, 1, 2)), 1, stride=5, padding=((3, 0),), exact=False)
    assert norm.upper == convolution_linf(np.ones((1, 1, 2)), 1, stride=5, padding=((3, 0),)).upper == 0


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_neither_overflow_nor_underflow(scale: float) -> None:
    kernel = generator("scales").normal(size=(30, 30, 3))
    one = convolution_l2(kernel, 40, padding=1, exact=False)
    assert convolution_l2(kernel * scale, 40, padding=1, exact=False).upper == pytest.approx(one.upper * scale)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"padding_mode": "reflect"}, "padding mode 'reflect' is not supported"),
        ({"padding_mode": "replicate"}, "padding mode 'replicate' is not supported"),
        ({"kernel": np.array([[[np.nan]]])}, "1 of 1 numbers are NaN or infinite"),
        ({"kernel": np.ones((2, 2))}, "kernel of shape (2, 2)"),
        ({"groups": 3}, "2 outputs in 3 groups"),
        ({"padding": -1}, "negative padding"),
        ({"padding": "same", "stride": 2}, "'same' at stride 1"),
        ({"padding": (1, 1)}, "one number or pair for each"),
        ({"size": 1}, "does not fit"),
        ({"stride": 0}, "stride 0; at least 1"),
    ],
)
def test_what_is_refused(changes: dict[str, object], words: str) -> None:
    given = {"kernel": np.ones((2, 1, 3)), "size": 5, **changes}
    for norm in (convolution_l2, convolution_linf):
        with pytest.raises(ValueError, match=re.escape(words)):
            norm(**given)


def test_output_padding_that_reaches_the_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="below the stride"):
        transposed_size(3, (3,), 2, output_padding=2)
