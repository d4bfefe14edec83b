"""Masks of Masksembles: fixed sets of channels, one a member, that overlap as much as a scale says."""

from __future__ import annotations

from itertools import count
from math import floor

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator


def active_share(n_masks: int, scale: float) -> float:
    """Share of the channels that each mask keeps, ``1 / (s (1 − (1 − 1/s)^n))``, from 1/n to 1.

    Of n masks that each keep m of m·s positions, so many positions are kept by any of them: the channels.
    (Durasov et al. 2021, arXiv 2012.08334.)

    Raises:
        ValueError: If there are fewer than two masks, or the scale is not above 1 (all masks would be equal).

    >>> round(active_share(4, 2.0), 6)  # 1 / (2 (1 - 1/16))
    0.533333
    """
    if n_masks < 2 or not 1.0 < scale < np.inf:
        raise ValueError(f"{n_masks} masks at scale {scale}: at least 2 masks and a finite scale above 1 are needed")
    return float(1.0 / (scale * (1.0 - (1.0 - 1.0 / scale) ** n_masks)))


def expected_overlap(scale: float) -> float:
    """Mean intersection over union of two masks, ``1 / (2s − 1)``; of finite widths approximately.

    >>> expected_overlap(2.0).__round__(6)
    0.333333
    """
    return 1.0 / (2.0 * scale - 1.0)


def scale_of_overlap(overlap: float) -> float:
    """The scale whose masks overlap so, ``(1 + 1/overlap) / 2``: the inverse of ``expected_overlap``.

    Raises:
        ValueError: If the overlap is not above 0 and below 1.

    >>> scale_of_overlap(1 / 3).__round__(6)
    2.0
    """
    if not 0.0 < overlap < 1.0:
        raise ValueError(f"overlap {overlap}: masks of Masksembles share more than nothing and less than all")
    return (1.0 + 1.0 / overlap) / 2.0


def kept_channels(channels: int, n_masks: int, scale: float) -> int:
    """How many channels each mask keeps: ``active_share`` of them, to the nearest, halves to even, from 1 to all.

    Raises:
        ValueError: as ``active_share``; or there is no channel.

    >>> kept_channels(240, 4, 2.0)
    128
    """
    if channels < 1:
        raise ValueError(f"{channels} channels: at least one is needed")
    return min(max(round(channels * active_share(n_masks, scale)), 1), channels)


def next_width(channels: int, n_masks: int, scale: float) -> int:
    """The smallest width, from so many channels on, that can carry the masks.

    It can where a mask leaves some channel out and all masks together none: ``m < c ≤ n m``.

    >>> next_width(1, 4, 1.2), next_width(11, 8, 100.0)  # of 3 channels each mask would keep all; 8 masks of 1 of 11
    (4, 12)
    """
    share = active_share(n_masks, scale)
    # below 1 / (2 (1 - share)) channels every mask keeps all: no need to look there
    first = max(channels, 2, floor(0.5 / (1.0 - share)) - 1) if share < 1.0 else 0
    if not first or first > 2**31:
        raise ValueError(f"scale {scale} is so near to 1 that the masks of any layer would be equal; give a larger one")
    return next(c for c in count(first) if kept_channels(c, n_masks, scale) in range(-(-c // n_masks), c))


def masksembles(channels: int, n_masks: int, scale: float, seed: int, layer: str = "") -> NDArray[np.bool_]:
    """Masks (n_masks, channels) of bool; each keeps exactly ``kept_channels``, and every channel is kept by some mask.

    Each mask draws its channels at random. A channel that no mask drew then takes the place of one that several masks
    drew, of all such (mask, channel) at random: as many swaps as channels were missing, no mask is drawn again. Two
    masks of a narrow layer may be equal. Masks of one seed and layer name are always the same.

    Args:
        channels: Width of the layer.
        n_masks: Members, at least 2.
        scale: s above 1; the masks' expected overlap is ``1 / (2s − 1)``.
        seed: Of the network.
        layer: Name of the layer, so that layers of one width differ.

    Raises:
        ValueError: If the width cannot carry the masks, with the next that can.

    >>> drawn = masksembles(10, 4, 2.0, seed=0)
    >>> drawn.sum(axis=1).tolist(), bool(drawn.any(axis=0).all())
    ([5, 5, 5, 5], True)
    """
    kept = kept_channels(channels, n_masks, scale)
    if not kept < channels <= n_masks * kept:
        raise ValueError(
            f"{channels} channels cannot carry {n_masks} masks of scale {scale:g}, which keep {kept} each; "
            f"the next width that can is {next_width(channels, n_masks, scale)}"
        )
    random = generator("masksembles", seed, layer)
    masks = np.zeros((n_masks, channels), dtype=np.bool_)
    for mask in masks:
        mask[random.permutation(channels)[:kept]] = True
    for missing in np.flatnonzero(~masks.any(axis=0)):
        spare = np.argwhere(masks & (masks.sum(axis=0) > 1))  # never empty: n·m places hold fewer than c channels
        member, channel = spare[random.integers(len(spare))]
        masks[member, channel], masks[member, missing] = False, True
    return masks
