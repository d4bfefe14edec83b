"""What attribution metrics share: what is compared of maps, whatever made them, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from bench.functional.integrated_gradients import completeness_error
from bench.functional.named_quantiles import named_quantiles
from bench.functional.similarity import (
    all_zero,
    cosine_distance,
    sign_disagreement,
    spearman_distance,
    top_k_jaccard_distance,
)
from bench.functional.structural_similarity import structural_dissimilarity
from bench.metrics.base import Family, Metric
from bench.metrics.values import Arrays, Change, Derived, Float, Value, with_tail
from bench.probes.attribution import ExplainedClass
from bench.probes.base import Probe
from bench.probes.baseline import BaselineOption
from bench.registry import parameters

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


CHANCE: Final[dict[str, Callable[..., Float]]] = {
    "cosine": cosine_distance,
    "spearman": spearman_distance,
    **{f"top_{percent}_jaccard": _top(percent) for percent in SHARES},
}
"""Distances whose complement to one is told of maps of different images."""


def similarity_to_other_images(maps: NDArray[Any]) -> Float:
    """How alike the maps (n, ...) of different images of one network are, mean over images: (5,), by ``CHANCE``.

    A floor of similarity: what is in the middle of every image makes maps of any two alike, magnitudes and their order
    above all. Fewer than two maps have none: (0,).

    >>> similarity_to_other_images(np.array([[1.0, 0.0], [0.0, 1.0]]))[0]
    np.float64(0.0)
    """
    if len(maps) < 2:
        return np.empty(0)
    other = np.roll(maps, 1, axis=0)
    return np.array([1.0 - measure(maps, other).mean() for measure in CHANCE.values()])


def named_chance(figures: Float) -> dict[str, float]:
    """Figures of ``similarity_to_other_images`` by name.

    >>> named_chance(np.empty(0))
    {}
    """
    return dict(zip(CHANCE, map(float, figures), strict=False))


@parameters
class MapMetric(ExplainedClass, Metric):
    """The base of a metric of one attribution probe, which takes the metric's own parameters."""

    family: ClassVar[Family] = "attribution"
    probe: ClassVar[type[Probe]]
    told: ClassVar[dict[str, Any]] = {}  # of the protocol, beside the parameters

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The attribution probe."""
        return (self.probe(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """The parameters, the baseline in words, and what is explained."""
        baseline = {"baseline": self.baseline_in_words()} if isinstance(self, BaselineOption) else {}
        whose = "the reference's class" if self.explained == "reference" else "each network's own class"
        return {**super().protocol(), **self.told, **baseline, "explained": f"centred logit of {whose}"}


@parameters
class PathMetric(MapMetric):
    """The base of a metric of maps that add up to a logit's change: what is told of them."""

    pictured: ClassVar[str] = MAP
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("zero_map", all_zero, of=MAP),
        Derived("completeness_error", completeness_error, of=(MAP, "logit_change")),
        Derived("similarity_to_other_images", similarity_to_other_images, of=MAP, rows=False),
    )
    values: ClassVar[tuple[Value, ...]] = SIGNED

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the completeness error, samples without any attribution, and a floor of similarity."""
        return {
            "completeness_error_quantiles": quantiles(arrays["completeness_error"]),
            "zero_maps": int(arrays["zero_map"].sum()),
            "similarity_to_other_images": named_chance(arrays["similarity_to_other_images"]),
        }


def quantiles(figures: NDArray[Any]) -> dict[str, float]:
    """The median, the 95 % quantile and the largest of figures (n,).

    >>> quantiles(np.array([1.0, 3.0]))["1"]
    3.0
    """
    return named_quantiles(figures, (0.5, 0.95, 1))
