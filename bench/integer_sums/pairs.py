"""Sums of 8-bit products as x86 without VNNI computes them: neighbouring products are added in 16 bits, saturating."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Sums = Literal["exact", "saturating"]
"""How a processor sums products of 8-bit integers: in 32 bits, or neighbouring ones first in 16 bits."""

LOWEST: Final = -(2**15)
HIGHEST: Final = 2**15 - 1

Integers = NDArray[np.int64]


def in_pairs(weights: NDArray[np.integer]) -> Integers:
    """Weights (k, outputs) as neighbours along the reduction, (pairs, 2, outputs); an odd last one stands beside 0.

    >>> in_pairs(np.array([[1], [2], [3]])).squeeze(-1).tolist()
    [[1, 2], [3, 0]]
    """
    odd = len(weights) % 2
    whole = np.pad(np.asarray(weights, dtype=np.int64), ((0, odd), (0, 0)))
    return whole.reshape(-1, 2, whole.shape[1])


def can_saturate(weights: NDArray[np.integer], codes: tuple[int, int] = (0, 255)) -> NDArray[np.bool_]:
    """Whether the sum of a pair leaves 16 bits for some activations, by pair and output (pairs, outputs).

    With unsigned activations: where ``max(w1, 0) + max(w2, 0) >= 129`` or ``min(w1, 0) + min(w2, 0) <= -129``. No
    data is needed.

    Args:
        weights: stored codes (k, outputs), zero point not taken off, in the order of the reduction.
        codes: smallest and largest code of an activation.

    >>> can_saturate(np.array([[64, 64, 127, -64], [64, 65, -127, -65]])).tolist()
    [[False, True, False, True]]
    """
    products = in_pairs(weights)[..., None] * np.array(codes)
    above, below = products.max(-1).sum(1), products.min(-1).sum(1)
    return np.asarray((above > HIGHEST) | (below < LOWEST))


def saturating_sums(activations: NDArray[np.integer], weights: NDArray[np.integer]) -> Integers:
    """``Σ_i clip(a_2i w_2i + a_2i+1 w_2i+1, -2^15, 2^15 - 1)`` of stored codes, (m, outputs).

    Args:
        activations: stored codes (m, k), zero point not taken off; an image's padding holds the zero point's code.
        weights: stored codes (k, outputs).

    >>> saturating_sums(np.array([[255, 255, 1]]), np.array([[100], [100], [1]])).tolist()
    [[32768]]
    """
    pairs = in_pairs(weights)
    a = np.pad(np.asarray(activations, dtype=np.int64), ((0, 0), (0, activations.shape[1] % 2)))
    total = np.zeros((len(a), pairs.shape[2]), dtype=np.int64)
    for index, (first, second) in enumerate(pairs):
        sums = a[:, 2 * index, None] * first + a[:, 2 * index + 1, None] * second
        total += sums.clip(LOWEST, HIGHEST)
    return total


def kernel_matrix(weights: NDArray[np.integer], *, channel_first: bool = False) -> Integers:
    """A convolution's weights (outputs, channels of a group, *kernel) as (k, outputs), in the order of its sums.

    The channel is fastest, as ONNX Runtime's quantised convolutions have it; ``channel_first``: it is slowest.

    >>> kernel_matrix(np.array([[[1, 2], [3, 4]]]))[:, 0].tolist()
    [1, 3, 2, 4]
    """
    axes = (1, *range(2, weights.ndim), 0) if channel_first else (*range(2, weights.ndim), 1, 0)
    return np.asarray(weights, dtype=np.int64).transpose(axes).reshape(-1, weights.shape[0])
