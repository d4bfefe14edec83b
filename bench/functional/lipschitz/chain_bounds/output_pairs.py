"""Constants of the differences of two outputs of a chain, by one set of multipliers for all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.functional.lipschitz.chain import DenseChain, Float
from bench.functional.lipschitz.chain_bounds.eclipse_fast import fast_scales
from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal_scales
from bench.functional.lipschitz.chain_bounds.recursion import OutputGram, eased_scales, output_gram
from bench.functional.lipschitz.chain_bounds.rounding import UNIT


def output_pairs(chain: DenseChain, iterations: int = 200) -> Float:
    """Upper bounds of the l2 constant of each difference of two outputs, ``f_i − f_j``: (outputs, outputs).

    ``L_ij² = (e_i − e_j)ᵀ E (e_i − e_j)`` with the recursion's last matrix E, which any feasible multipliers make valid
    for all directions at once; those of ECLipsE-Fast and of full-diagonal, whichever is less for each pair.

    Args:
        chain: l hidden layers.
        iterations: of the search for full-diagonal multipliers; 0: ECLipsE-Fast's alone.

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, 0.0], [0.0, 4.0]])), (np.zeros(2), np.zeros(2)), (relu(2),))
    >>> output_pairs(chain).round(4).tolist()  # 5 = sqrt(3² + 4²), at any x > 0
    [[0.0, 5.0], [5.0, 0.0]]
    """
    if not all(weight.any() for weight in chain.weights):
        return np.zeros((chain.widths[-1], chain.widths[-1]))
    candidates: list[Sequence[Float]] = [fast_scales(chain, 1.0)]
    if iterations and chain.depth:
        candidates.append(full_diagonal_scales(chain, iterations=iterations).scales)
    found = [_pairs(gram) for scales in candidates if (gram := _feasible(chain, scales)) is not None]
    least = np.full((chain.widths[-1], chain.widths[-1]), np.inf)
    np.fill_diagonal(least, 0.0)
    for pairs in found:
        least = np.minimum(least, pairs)
    return least


def _feasible(chain: DenseChain, scales: Sequence[Float]) -> OutputGram | None:
    return next((gram for each in eased_scales(scales) if (gram := output_gram(chain, each)) is not None), None)


def _pairs(gram: OutputGram) -> Float:
    diagonal = np.diagonal(gram.matrix)
    square = diagonal[:, None] + diagonal - gram.matrix - gram.matrix.T
    lost = 8 * UNIT * (diagonal[:, None] + diagonal + 2 * np.abs(gram.matrix))
    pairs = np.ldexp(np.sqrt(np.maximum(square, 0.0) + lost) * (1 + 8 * UNIT), gram.power)
    np.fill_diagonal(pairs, 0.0)
    return np.asarray(pairs)
