"""Matches the layers of two graphs: an alignment of two sequences by kind, shape and position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.layer_matching.layers import Layer

SAME_SHAPE, OTHER_SHAPE, JOIN, DRIFT = 4.0, 1.0, 2.0, 0.01


class LayerPair(NamedTuple):
    """Positions of a layer in the reference and in the variant; None where one of them lacks it."""

    reference: int | None
    variant: int | None


def align(reference: Sequence[Layer], variant: Sequence[Layer]) -> list[LayerPair]:
    """The alignment of largest total score, in order; both keep their order.

    Two layers may be matched where their kinds are the same. Equal weight shapes score 4; other shapes 1 to 2, by how
    near their sizes are (pruned channels); joins 2; a hundredth of the relative drift in position is taken off, which
    decides between equal ones. Layers that stay alone score 0 (Needleman & Wunsch 1970,
    doi 10.1016/0022-2836(70)90057-4).

    >>> from bench.layer_matching.layers import Layer
    >>> make = lambda kind, *shape: Layer(kind, "", shape, (), (), (), None, True)
    >>> three = [make("linear", 8, 4), make("linear", 8, 8), make("linear", 2, 8)]
    >>> [tuple(pair) for pair in align(three, [three[0], three[2]])]
    [(0, 0), (1, None), (2, 1)]
    """
    n, m = len(reference), len(variant)
    best = np.zeros((n + 1, m + 1))
    scores = np.full((n, m), -np.inf)
    for i in range(n):
        for j in range(m):
            scores[i, j] = _score(reference[i], variant[j]) - DRIFT * abs(i / n - j / m)
            best[i + 1, j + 1] = max(best[i, j] + scores[i, j], best[i, j + 1], best[i + 1, j])
    pairs: list[LayerPair] = []
    i, j = n, m
    while i or j:
        if i and j and best[i, j] == best[i - 1, j - 1] + scores[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append(LayerPair(i, j))
        elif i and best[i, j] == best[i - 1, j]:
            i -= 1
            pairs.append(LayerPair(i, None))
        else:
            j -= 1
            pairs.append(LayerPair(None, j))
    return pairs[::-1]


def _score(a: Layer, b: Layer) -> float:
    if a.kind != b.kind:
        return -np.inf
    if not a.weighted and not b.weighted:
        return JOIN
    if a.shape is None or b.shape is None:
        return JOIN
    if a.shape == b.shape:
        return SAME_SHAPE
    if len(a.shape) != len(b.shape) or a.shape[2:] != b.shape[2:]:
        return 0.0
    near = [min(p, q) / max(p, q) for p, q in zip(a.shape, b.shape, strict=True) if p and q]
    return OTHER_SHAPE + float(np.prod(near))
