"""What a corruption is, the registry of all, and how they are applied to a batch of images.

The kinds follow the benchmarks ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261) and MNIST-C (Mu and Gilmer,
arXiv 1906.02337). Strengths are continuous, in units of the span of pixel values and of the image's shorter side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.registry import Registry
from bench.stats.streams import generator

Image: TypeAlias = NDArray[np.float64]
"""One image (channels, height, width) in units of the span: 0 is the lower bound of a pixel, 1 the upper one."""
Corrupting: TypeAlias = Callable[[Image, float, np.random.Generator], Image]

LEVELS = 5  # severities of each kind
IMAGE_AXES = 3  # channels, height, width


@dataclass(eq=False)
class Corruption:
    """One kind: ``function(image, strength, random)``, its five severities, and the strengths that it knows.

    Strength 0 is the image itself. What the function answers outside [0, 1] is cut off by ``corrupt``.
    """

    function: Corrupting
    severities: tuple[float, float, float, float, float]
    unit: str
    least: float = 0.0
    most: float = inf
    channels: frozenset[int] = frozenset()  # numbers of channels that it knows; all where empty
    name: str = field(default="", init=False)  # the registry's

    def refusal(self, shape: Sequence[int]) -> str:
        """Why samples of this shape have no such corruption; empty where they have.

        >>> Corruption(lambda image, strength, random: image, (1, 2, 3, 4, 5), "").refusal((64,))
        'needs images (channels, height, width); samples have shape (64,)'
        """
        if len(shape) != IMAGE_AXES:
            return f"needs images (channels, height, width); samples have shape {tuple(shape)}"
        if self.channels and shape[0] not in self.channels:
            known = " or ".join(map(str, sorted(self.channels)))
            return f"{self.name} knows images of {known} channels; these have {shape[0]}"
        return ""


corruptions: Registry[Corruption] = Registry("corruption", "bench.functional.corruptions")


def corrupt(
    x: NDArray[np.float32],
    kind: str,
    strength: float | NDArray[np.float64],
    ids: Sequence[str],
    *,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> NDArray[np.float32]:
    """Images under one corruption, cut off at the bounds: (n, channels, height, width) float32.

    Random numbers come from ``generator("corruption.KIND", seed, id)``: a sample's answer depends on nothing else, and
    a greater strength uses the same ones. Nothing is rounded to 8-bit pixels, except by JPEG.

    Args:
        x: images (n, channels, height, width) within the bounds.
        kind: a name of ``corruptions``.
        strength: one for all, or one an image (n,); in the kind's own unit.
        ids: of the samples, n.
        seed: which random numbers.
        bounds: least and greatest value of a pixel.

    Raises:
        UserError: There is no such kind.
        ValueError: Shapes do not fit, values lie outside the bounds, or a strength is none of the kind's.

    >>> corrupt(np.zeros((1, 1, 1, 2)), "brightness", 0.25, ["a"], bounds=(0.0, 2.0)).tolist()
    [[[[0.5, 0.5]]]]
    """
    corruption = corruptions.get(kind)
    strengths = _strengths(corruption, strength, len(x))
    low, high = bounds
    _check(corruption, x, ids, (np.float32(low), np.float32(high)))
    out = np.array(x, dtype=np.float32)
    for row in np.flatnonzero(strengths).tolist():
        image = (x[row].astype(np.float64) - low) / (high - low)
        random = generator(f"corruption.{kind}", seed, ids[row])
        out[row] = low + (high - low) * corruption.function(image, float(strengths[row]), random).clip(0.0, 1.0)
    return out.clip(np.float32(low), np.float32(high))


def _strengths(corruption: Corruption, strength: float | NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """One strength for each image; what the kind does not know raises ``ValueError``."""
    strengths = np.broadcast_to(np.asarray(strength, dtype=np.float64), (n,))
    if not ((strengths >= corruption.least) & (strengths <= corruption.most)).all():
        known = f"{corruption.least:g} to {corruption.most:g}"
        raise ValueError(f"{corruption.name} of strength {strength}: give {known} ({corruption.unit})")
    return strengths


def _check(
    corruption: Corruption, x: NDArray[np.float32], ids: Sequence[str], bounds: tuple[np.float32, np.float32]
) -> None:
    if refusal := corruption.refusal(x.shape[1:]):
        raise ValueError(refusal)
    if len(ids) != len(x):
        raise ValueError(f"{len(ids)} ids for {len(x)} images; give each image its id")
    if len(x) and not (x.min() >= bounds[0] and x.max() <= bounds[1]):
        raise ValueError(
            f"pixels from {x.min():g} to {x.max():g} lie outside the bounds {bounds[0]:g} to {bounds[1]:g}"
        )
