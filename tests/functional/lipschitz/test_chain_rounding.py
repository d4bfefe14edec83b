"""Proofs in float64, checked in exact fractions and in 60 digits."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bench.functional.lipschitz.chain_bounds.composite import Composite
from bench.functional.lipschitz.chain_bounds.rounding import (
    factor_below,
    inverse_factor,
    raised,
    row_sum_norm,
    spectral_norm,
    top_eigenvalue,
)


def exactly(matrix):
    return [[Fraction(float(entry)) for entry in row] for row in matrix]


def times(a, b):
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def positive_definite(rows):
    """By exact elimination without roots; a zero pivot counts as no."""
    rows = [row[:] for row in rows]
    for k in range(len(rows)):
        if rows[k][k] <= 0:
            return False
        for i in range(k + 1, len(rows)):
            ratio = rows[i][k] / rows[k][k]
            rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[k], strict=True)]
    return True


def inverse(rows):
    n = len(rows)
    wide = [row[:] + [Fraction(int(i == j)) for j in range(n)] for i, row in enumerate(rows)]
    for k in range(n):
        wide[k] = [entry / wide[k][k] for entry in wide[k]]
        for i in range(n):
            if i != k:
                wide[i] = [a - wide[i][k] * b for a, b in zip(wide[i], wide[k], strict=True)]
    return [row[n:] for row in wide]


def nearly_singular(random, n, gap):
    """A Gram matrix of n vectors of which the last is nearly in the plane of the others."""
    vectors = random.normal(size=(n, n))
    vectors[-1] = random.normal(size=n - 1) @ vectors[:-1] + gap * vectors[-1]
    gram = vectors @ vectors.T
    return (gram + gram.T) / 2


@pytest.mark.parametrize("seed", range(40))
def test_what_passes_is_positive_definite(seed):
    random = np.random.default_rng(seed)
    matrix = nearly_singular(random, 4, 10.0 ** random.uniform(-9, -6))
    factor = factor_below(matrix)
    if factor is None:
        return
    rest = [
        [a - b for a, b in zip(*rows, strict=True)]
        for rows in zip(exactly(matrix), times(exactly(factor), exactly(factor.T)), strict=True)
    ]
    assert positive_definite(exactly(matrix))
    assert positive_definite(rest)


def test_some_that_a_plain_factorisation_lets_pass_are_refused():
    passed = 0
    for seed in range(300):
        matrix = nearly_singular(np.random.default_rng(seed), 3, 1e-9)
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            continue
        if not positive_definite(exactly(matrix)):
            passed += 1
            assert factor_below(matrix) is None
    assert passed > 5  # there are such


@pytest.mark.parametrize("gap", [1.0, 1e-2, 1e-4, 1e-6])
def test_the_inverse_is_below_the_factor_s_product(gap):
    matrix = nearly_singular(np.random.default_rng(0), 5, gap)
    factor, ratio = inverse_factor(matrix)
    above = times(exactly(factor.T), exactly(factor))
    true = inverse(exactly(matrix))
    grown = Fraction(ratio)
    assert positive_definite(
        [[grown * a - b for a, b in zip(*rows, strict=True)] for rows in zip(above, true, strict=True)]
    )
    assert ratio < 1 + 1e-7


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_eigenvalue_and_norm_are_not_above_what_is_said(seed):
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(4, 6)) * 10.0 ** random.uniform(-3, 3, size=(1, 6))
    with mpmath.workdps(60):
        rows = mpmath.matrix(matrix.tolist())
        gram = matrix @ matrix.T
        true = max(mpmath.eigsy(mpmath.matrix(gram.tolist()), eigvals_only=True))
        assert true <= top_eigenvalue(gram) <= true * (1 + mpmath.mpf("1e-11"))
        norm = mpmath.sqrt(max(mpmath.eigsy(rows * rows.T, eigvals_only=True)))
        assert norm <= spectral_norm(matrix) <= norm * (1 + mpmath.mpf("1e-11"))
        assert norm <= spectral_norm(matrix.T)
        sums = max(sum(abs(rows[i, j]) for j in range(6)) for i in range(4))
        assert sums <= row_sum_norm(matrix) <= sums * (1 + mpmath.mpf("1e-11"))


@pytest.mark.parametrize("power", [-1000, 0, 1000])
def test_norms_neither_vanish_nor_overflow(power):
    matrix = np.ldexp(np.array([[3.0, 4.0]]), power)
    assert np.ldexp(5.0, power) <= spectral_norm(matrix) <= np.ldexp(5.000001, power)


def test_a_matrix_of_zeros_and_one_of_no_rows_have_norm_zero():
    assert spectral_norm(np.zeros((3, 2))) == 0
    assert row_sum_norm(np.zeros((0, 2))) == 0


def test_a_raised_matrix_is_above_all_within_its_error():
    random = np.random.default_rng(0)
    for _ in range(50):
        size = random.random((4, 4))
        size += size.T
        error = size * random.choice([-1, 1], size=(4, 4))
        error = np.triu(error) + np.triu(error, 1).T
        assert np.linalg.eigvalsh(raised(np.zeros((4, 4)), size.sum(axis=1)) - error)[0] > -1e-12


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_product_that_cancels_knows_its_rounding_error(norm):
    """Of three factors the product is tiny beside their sizes; computed entries are mere rounding."""
    random = np.random.default_rng(1)
    for _ in range(20):
        factors = [random.normal(size=(4, 4)) for _ in range(2)]
        factors.append(np.linalg.inv(factors[1] @ factors[0])[:3] * (1 + 1e-13 * random.normal(size=(3, 4))))
        last = Composite.of(factors[0]).then(factors[1]).then(factors[2])
        product = Composite(last.matrix - np.eye(3, 4), last.rows + 1, last.roundings)
        with mpmath.workdps(60):
            true = (
                mpmath.matrix(factors[2].tolist())
                * mpmath.matrix(factors[1].tolist())
                * mpmath.matrix(factors[0].tolist())
            )
            true = true - mpmath.matrix(np.eye(3, 4).tolist())
            if norm == "l2":
                size = mpmath.sqrt(max(mpmath.eigsy(true * true.T, eigvals_only=True)))
            else:
                size = max(sum(abs(true[i, j]) for j in range(4)) for i in range(3))
            assert product.lower(norm) <= size <= product.upper(norm)
