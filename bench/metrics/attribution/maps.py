"""What is compared of attribution maps, whatever made them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.functional.similarity import (
    cosine_distance,
    sign_disagreement,
    spearman_distance,
    top_k_jaccard_distance,
)
from bench.functional.structural_similarity import structural_dissimilarity
from bench.metrics.values import Change, Float, Value, with_tail

SHARES: Final = (1, 5, 10)  # per cent of the pixels


def _top(percent: int) -> Callable[..., Float]:
    return partial(top_k_jaccard_distance, share=percent / 100)


MAP = "attribution"
COSINE = with_tail(Change("cosine_distance", cosine_distance, of=MAP, power=2, largest=2.0))
SPEARMAN = with_tail(Change("spearman_distance", spearman_distance, of=MAP, power=2, largest=2.0))
TOP_K = tuple(
    change
    for percent in SHARES
    for change in with_tail(Change(f"top_{percent}_jaccard_distance", _top(percent), of=MAP, power=1, largest=1.0))
)
SIGNS = with_tail(Change("sign_disagreement", sign_disagreement, of=MAP, power=1, largest=1.0))
STRUCTURE = with_tail(Change("ssim_distance", structural_dissimilarity, of=MAP, power=2, largest=2.0))

SIGNED: Final[tuple[Value, ...]] = (*COSINE, *SPEARMAN, *TOP_K, *SIGNS, *STRUCTURE)
"""Of maps whose signs say for or against a class."""
UNSIGNED: Final[tuple[Value, ...]] = (*COSINE, *SPEARMAN, *TOP_K, *STRUCTURE)
"""Of maps that say where alone."""


def by_chance(maps: NDArray[Any]) -> dict[str, float]:
    """How alike the maps (n, ...) of different images of one network are, mean over images: a floor of similarity.

    What is in the middle of every image makes maps of any two alike: magnitudes and their order above all. Fewer than
    two maps have none.

    >>> by_chance(np.array([[1.0, 0.0], [0.0, 1.0]]))["cosine"]
    0.0
    """
    if len(maps) < 2:
        return {}
    other = np.roll(maps, 1, axis=0)
    measures: dict[str, Callable[..., Float]] = {"cosine": cosine_distance, "spearman": spearman_distance}
    measures |= {f"top_{percent}_jaccard": _top(percent) for percent in SHARES}
    return {name: float(1.0 - measure(maps, other).mean()) for name, measure in measures.items()}


def protocol(base: dict[str, Any], explained: str) -> dict[str, Any]:
    """A protocol with what is explained in words."""
    whose = "the reference's class" if explained == "reference" else "each network's own class"
    return {**base, "explained": f"centred logit of {whose}"}
