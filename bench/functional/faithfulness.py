"""Does an attribution say what the network does? Deletion, insertion and infidelity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Score = Callable[[NDArray[np.float32]], Float]  # samples (n, ...) to the figure of each sample's class, (n,)


def replaced(
    x: NDArray[np.float32], baseline: float, maps: NDArray[Any], share: float, *, keep: bool
) -> NDArray[np.float32]:
    """Samples (n, ...) with their pixels of largest attribution put to the baseline, or all others (``keep``).

    Channels of a pixel go together, by the sum of their attributions. ``share`` is that of the pixels, rounded to the
    nearest number; pixels that tie go in their order.

    >>> x, maps = np.ones((1, 4), np.float32), np.array([[0.1, 0.9, -2.0, 0.5]])
    >>> replaced(x, 0.0, maps, 0.5, keep=False).tolist(), replaced(x, 0.0, maps, 0.5, keep=True).tolist()
    ([[1.0, 0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0, 1.0]])
    """
    pixels = maps.sum(axis=1) if maps.ndim > 2 else maps
    flat = pixels.reshape(len(x), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    chosen = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, : round(share * flat.shape[1])], values=True, axis=1)
    mask = chosen.reshape(pixels.shape)
    mask = np.broadcast_to(mask[:, None] if maps.ndim > 2 else mask, x.shape)
    return np.where(mask == keep, x, np.float32(baseline))


def area_under_replacement(
    score: Score, x: NDArray[np.float32], baseline: float, maps: NDArray[Any], steps: int, *, keep: bool
) -> Float:
    """Mean score while pixels are deleted, or inserted (``keep``), largest attribution first: (n,).

    By the trapezoid rule over ``steps`` equal shares from none to all (Petsiuk et al. 2018, arXiv 1806.07421). Of a
    faithful attribution the probability of its class falls fast when its pixels are deleted, a low area, and rises fast
    when they are inserted, a high one.

    >>> x, maps = np.ones((1, 2), np.float32), np.array([[1.0, 0.0]])
    >>> area_under_replacement(lambda x: x[:, 0].astype(float), x, 0.0, maps, 2, keep=False).tolist()  # 1, 0, 0
    [0.25]
    """
    total = np.zeros(len(x))
    for step in range(steps + 1):
        weight = 0.5 if step in (0, steps) else 1.0
        total += weight * score(replaced(x, baseline, maps, step / steps, keep=keep))
    return total / steps


def infidelity(
    score: Score, x: NDArray[np.float32], baseline: float, maps: NDArray[Any], masks: NDArray[np.bool_]
) -> Float:
    """Share of what happens under random replacements that an attribution does not foresee: (n,), 0 or more.

    ``E_I (Σ_i I_i φ_i / (x_i − x'_i) − (f(x) − f(x − I)))² / E_I (f(x) − f(x − I))²`` with I = m (x − x') for masks m:
    what is foreseen is the sum of the replaced pixels' attributions (Yeh et al. 2019, arXiv 1901.09392, relative to an
    attribution of zero). 0: all is foreseen; 1: as bad as a map of zeros. Where nothing happens, 0 if nothing is
    foreseen, else 1.

    Args:
        score: f of samples (n, ...), (n,).
        x: samples (n, ...).
        baseline: value of every pixel of x'.
        maps: attributions φ (n, ...).
        masks: True where a pixel is replaced, (draws, n, ...).

    >>> x, linear = np.ones((1, 2), np.float32), lambda x: x.astype(float) @ np.array([3.0, 1.0])
    >>> masks = np.array([[[True, False]], [[False, True]]])
    >>> infidelity(linear, x, 0.0, np.array([[3.0, 1.0]]), masks).tolist()
    [0.0]
    >>> infidelity(linear, x, 0.0, np.array([[0.0, 0.0]]), masks).tolist()
    [1.0]
    """
    before = score(x)
    missed, happened = np.zeros(len(x)), np.zeros(len(x))
    for mask in masks:
        change = before - score(np.where(mask, np.float32(baseline), x))
        foreseen = np.where(mask, maps, 0.0).reshape(len(x), -1).sum(axis=1)
        missed += (foreseen - change) ** 2
        happened += change**2
    return np.where(happened > 0, missed / np.where(happened > 0, happened, 1.0), missed > 0)
