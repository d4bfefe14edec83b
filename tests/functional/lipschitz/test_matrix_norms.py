"""Norms of matrices, alone and the largest of many, against LAPACK and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from bench.functional.lipschitz.layer_norms import largest_norm as rule
from bench.functional.lipschitz.layer_norms.dense import dense_l2, dense_linf
from bench.functional.lipschitz.layer_norms.gram import gram_bounds
from bench.functional.lipschitz.layer_norms.largest_norm import largest_norm
from bench.functional.lipschitz.layer_norms.rounding import gram_slack, svd_slack
from bench.stats.streams import generator

SHAPES = [(1, 1), (1, 7), (7, 1), (5, 3), (3, 5), (40, 30), (30, 40), (33, 33)]


def random_matrices(number: int, rows: int, columns: int, kind: str) -> np.ndarray:
    random = generator("random matrices", number, rows, columns, kind)
    real = random.normal(size=(number, rows, columns)) * np.exp(random.normal(size=(number, 1, 1)))
    return real if kind == "real" else real + 1j * random.normal(size=real.shape)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gram_steps_enclose_the_norm_and_close_on_it(shape: tuple[int, int], kind: str) -> None:
    matrices = random_matrices(6, *shape, kind)
    exact = np.linalg.norm(matrices, ord=2, axis=(1, 2))
    for steps in (1, 3, 5, 7, 20):
        upper, lower = gram_bounds(matrices, steps)
        assert (lower <= exact).all()
        assert (exact <= upper).all()
        assert (upper <= exact * min(shape) ** (0.5 ** (steps + 1)) * (1 + 3e-6)).all()
    np.testing.assert_allclose(lower, upper, rtol=1e-5)


def test_gram_steps_of_a_published_kernel() -> None:
    """64 channels, 5 × 5, on a circle of 14 × 14 frequencies: 84.07, 80.610 and 80.578 after 3, 5 and 7 steps."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(42)
    kernel = torch.randn(64, 64, 5, 5, dtype=torch.float64).numpy()
    symbol = np.fft.rfft2(kernel, (14, 14)).reshape(64, 64, -1).transpose(2, 0, 1)
    found = [float(gram_bounds(symbol, steps)[0].max()) for steps in (3, 5, 7)]
    assert found == pytest.approx([84.07, 80.610, 80.578], abs=6e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-250, 1e250])
def test_gram_steps_neither_overflow_nor_underflow(scale: float) -> None:
    upper, lower = gram_bounds(np.diag([scale, scale / 3])[None], 20)
    np.testing.assert_allclose([upper[0], lower[0]], scale, rtol=2e-6)


def test_a_gram_iteration_needs_a_step() -> None:
    with pytest.raises(ValueError, match="0 Gram steps"):
        gram_bounds(np.eye(2)[None], 0)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_norm_of_many(shape: tuple[int, int], kind: str) -> None:
    for number in (1, 2, 9):
        matrices = random_matrices(number, *shape, kind)
        exact = np.linalg.norm(matrices, ord=2, axis=(1, 2)).max()
        ends = largest_norm(matrices)
        assert exact * (1 - 3e-9) <= ends.lower <= exact <= ends.upper <= exact * (1 + 3e-9)
        assert largest_norm(matrices, floor=2 * exact)[:2] == (2 * exact, 2 * exact)


def test_the_sieve_measures_every_matrix_that_may_be_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where power steps put the smallest first."""
    order = rule._likeliest_first
    monkeypatch.setattr(rule, "_likeliest_first", lambda grams: order(grams)[::-1])
    for kind in ("real", "complex"):
        matrices = random_matrices(20, 30, 26, kind)
        exact = np.linalg.norm(matrices, ord=2, axis=(1, 2)).max()
        ends = largest_norm(matrices)
        assert ends.lower <= exact <= ends.upper <= exact * (1 + 3e-9)


def test_the_sieve_counts_on_the_factor_alone() -> None:
    """Norms that differ by 1e-8 are told apart, and equal ones all stay below the upper end."""
    base = random_matrices(1, 26, 26, "real")[0] / 100
    matrices = np.stack([base * (1 + 1e-8 * step) for step in (0, 3, 1, 2, 3)])
    exact = np.linalg.norm(matrices, ord=2, axis=(1, 2)).max()
    ends = largest_norm(matrices)
    assert exact * (1 - 2e-9) <= ends.lower <= exact <= ends.upper <= exact * (1 + 2e-9)


@pytest.mark.parametrize("matrices", [np.zeros((3, 30, 30)), np.zeros((3, 2, 2)), np.zeros((1, 1, 1))])
def test_zero_matrices(matrices: np.ndarray) -> None:
    assert largest_norm(matrices)[:2] == (0.0, 0.0)


def test_wide_matrices_by_lanczos_and_cholesky_or_by_gram_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "SVD_OF_ONE", 30)
    for kind in ("real", "complex"):
        matrices = random_matrices(3, 60, 40, kind)
        exact = np.linalg.norm(matrices, ord=2, axis=(1, 2)).max()
        ends = largest_norm(matrices)
        assert ends.lower <= exact <= ends.upper <= exact * (1 + 1.1e-6)
        assert ends.rule == "Lanczos and Cholesky"
    monkeypatch.setattr(rule, "WIDE_SLACK", -1e-3)  # an eigenvalue too small: the factor refuses it
    ends = largest_norm(matrices[:1])
    exact = np.linalg.norm(matrices[0], 2)
    assert ends.lower <= exact <= ends.upper <= exact * (1 + 1e-5)
    assert ends.rule == "Gram iteration"
    assert largest_norm(np.zeros((1, 40, 40)))[:2] == (0.0, 0.0)


def test_dense_layers() -> None:
    for number in range(40):
        random = generator("dense", number)
        weight = random.normal(size=random.integers(1, 30, 2)).astype(np.float32)
        exact, norm = np.linalg.norm(weight.astype(np.float64), 2), dense_l2(weight)
        assert exact * (1 - 2e-9) <= norm.lower <= exact <= norm.upper <= exact * (1 + 2e-9)
        rows = max(sum(abs(float(entry)) for entry in row) for row in weight)
        norm = dense_linf(weight)
        assert rows * (1 - 1e-13) <= norm.lower <= rows <= norm.upper <= rows * (1 + 1e-13)


def test_a_row_sum_of_tenths_is_not_rounded_down() -> None:
    tenths = np.full((1, 1000), 0.1)  # the true sum of these numbers is 1000 · 0.1000000000000000055511151231…
    assert dense_linf(tenths).upper > 100.00000000000000555


@pytest.mark.parametrize("norm", [dense_l2, dense_linf])
def test_what_no_dense_layer_is(norm: object) -> None:
    for weight, words in (
        (np.ones(3), r"shape \(3,\)"),
        (np.array([[np.inf]]), "NaN or infinite"),
        (np.ones((2, 0)), "at least one number"),
        (np.array([[1j]]), "real numbers"),
    ):
        with pytest.raises(ValueError, match=f"^head: .*{words}"):
            norm(weight, layer="head")  # type: ignore[operator]


def test_slack_grows_with_matrices() -> None:
    assert svd_slack(784, 784) == 1e-9 < svd_slack(4096, 4096) < 1e-8
    assert gram_slack(4096, 4096) == 1e-6 < gram_slack(10**5, 10**5)
