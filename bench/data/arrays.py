"""Samples from arrays: checked, as float32 images or vectors with labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.data.splitting import check_values
from bench.errors import UserError
from bench.limits import CLASSES

LAYOUT = "give images (n, channels, height, width) or (n, height, width), or vectors (n, features)"


def array_samples(x: Any, y: Any, bounds: tuple[float, float], where: str = "") -> Samples:
    """Samples of arrays: ``x``, images (n, channels, height, width) or (n, height, width), or vectors; ``y`` (n,).

    Ids are ``npz/ROW`` by row, whether the arrays came from a file or not: the same samples give the same figures.

    Args:
        x: an array, or a tensor on any device.
        y: labels, or None.
        bounds: the lowest and highest value that is allowed.
        where: what stands before ``x`` and ``y`` in errors.

    >>> array_samples(np.zeros((2, 8, 8)), [0, 1], (0.0, 1.0)).x.shape
    (2, 1, 8, 8)

    Raises:
        UserError: wrong shapes or types, values not finite or out of bounds.
    """
    pixels = images(as_array(x, f"{where}x"), f"{where}x")
    check_values(pixels, bounds, f"{where}x")
    classes = None if y is None else labels(as_array(y, f"{where}y"), len(pixels), f"{where}y")
    return Samples(tuple(f"npz/{row:06d}" for row in range(len(pixels))), pixels, classes)


def as_array(given: Any, where: str) -> NDArray[Any]:
    """An array of anything like one; a torch tensor leaves its device and its gradient."""
    try:
        if hasattr(given, "detach"):
            given = given.detach().cpu()
            given = given.float() if str(given.dtype) == "torch.bfloat16" else given  # a type that numpy lacks
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"it is no array: {' '.join(str(error).split())[:200]}"
        raise UserError.at(where, what, "give one array of numbers") from None


def images(x: NDArray[Any], where: str) -> NDArray[np.float32]:
    """Samples as float32; images without channels get one. Wrong types and shapes raise ``UserError``."""
    if x.dtype.kind not in "fiub":
        raise UserError.at(where, f"type {x.dtype}", "give real numbers")
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim not in (2, 4) or 0 in x.shape:
        raise UserError.at(where, f"shape {x.shape}", LAYOUT)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
        samples = np.ascontiguousarray(x, dtype=np.float32)
    return samples if samples.flags.writeable else samples.copy()  # torch takes no array that it may not write into


def labels(y: NDArray[Any], n: int, where: str) -> NDArray[np.int64]:
    """Labels (n,) as whole numbers from 0 on; anything else raises ``UserError``."""
    if y.shape != (n,):
        raise UserError.at(where, f"shape {y.shape}", f"give ({n},), one label a sample")
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and bool(np.isfinite(y).all()) and bool((y % 1 == 0).all()))
    if not whole or int(y.min()) < 0:
        raise UserError.at(where, f"labels of type {y.dtype} that are no classes", "give whole numbers from 0 on")
    CLASSES.check(int(y.max()) + 1, where, "labels of ")
    return y.astype(np.int64)
