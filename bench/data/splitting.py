"""Disjoint splits in a fixed order, and the checks that every dataset must pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.errors import UserError
from bench.interrupts import contained
from bench.networks.interface import check_declared
from bench.networks.network import InputSpec
from bench.stats.streams import generator


def stratified_order(labels: NDArray[np.int64] | None, n: int, *words: str | int) -> NDArray[np.int64]:
    """A fixed order of n samples in which every prefix and suffix holds the classes in nearly equal shares.

    Each class is shuffled by its own seed; the r-th of m samples of a class is placed at ``(r + u) / m`` with u
    uniform in [1/4, 3/4], so that classes follow each other in no fixed order.
    Without labels it is a plain seeded permutation.

    Args:
        labels: (n,) classes, or None.
        n: how many samples.
        words: what the order is keyed by.

    Returns:
        (n,) a permutation of ``range(n)``.

    >>> order = stratified_order(np.array([0, 0, 0, 1, 1, 1]), 6, "doc")
    >>> sorted(int(i) for i in order)
    [0, 1, 2, 3, 4, 5]
    >>> [{int(i) // 3 for i in order[k : k + 2]} for k in (0, 2, 4)]
    [{0, 1}, {0, 1}, {0, 1}]
    """
    tie = generator("order", *words).permutation(n)
    if labels is None:
        return tie.astype(np.int64)
    rank = np.empty(n)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        own = generator("order", *words, int(label))
        ranks = own.permutation(len(members))
        rank[members] = (ranks + own.uniform(0.25, 0.75, len(members))) / len(members)
    return np.lexsort((tie, rank)).astype(np.int64)


class Cut(NamedTuple):
    """Rows of the three splits."""

    train: NDArray[np.int64]
    calibration: NDArray[np.int64]
    evaluation: NDArray[np.int64]


def cut(name: str, order: NDArray[np.int64], evaluation: int, calibration: int) -> Cut:
    """Cut an order into three: evaluation from its head, calibration from its tail, training what is left between.

    So neither the evaluation nor the calibration samples depend on the other's size, and the first n of a larger
    evaluation split are the smaller one.

    >>> [part.tolist() for part in cut("doc", np.arange(5), 2, 1)]
    [[2, 3], [4], [0, 1]]

    Raises:
        UserError: more is asked than there is.
    """
    total = len(order)
    for key, asked in (("evaluation", evaluation), ("calibration", calibration)):
        if asked < 0 or (key == "evaluation" and asked == 0):
            raise UserError.at(f"data.{key}", f"{asked} samples asked", "ask for a positive number")
    if evaluation + calibration > total:
        what = f"{evaluation} + {calibration} samples asked, {name!r} has {total}"
        raise UserError.at("data.evaluation", what, f"let evaluation + calibration be at most {total}")
    return Cut(order[evaluation : total - calibration], order[total - calibration :], order[:evaluation])


def split(
    name: str, samples: Samples, order: NDArray[np.int64], declared: InputSpec, evaluation: int, calibration: int
) -> Dataset:
    """Cut samples in memory into three as ``cut`` does.

    Raises:
        UserError: more is asked than there is, or ``check_dataset`` finds something.
    """
    rows = cut(name, order, evaluation, calibration)
    train, calibration_part, evaluation_part = (samples.take(index) for index in rows)
    return check_dataset(Dataset(name, declared, train, calibration_part, evaluation_part))


def make_loader(name: str, options: Mapping[str, Any] | None, key: str, options_key: str) -> Loader:
    """The loader of that name with its options, for data that stand on another loader's.

    Raises:
        UserError: there is no such loader, at ``key``, or it does not take these options, at ``options_key``.
    """
    cls: type[Loader] = loaders.get(name, key)
    try:
        return cls(**(options or {}))
    except (pydantic.ValidationError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError.at(options_key, reason, f"see crbench describe {name}") from None


def load_dataset(loader: Loader, evaluation: int, calibration: int) -> Dataset:
    """Load through any loader, one from outside too, and check what comes back.

    Raises:
        UserError: what the loader raises, ``check_dataset`` finds, or a loader from outside fails with.
    """
    try:
        with contained():
            dataset: Any = loader.load(evaluation, calibration)  # one from outside may return anything
    except UserError:
        raise
    except Exception as error:
        if type(loader).__module__.startswith("bench.data."):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError.at("data.loader", f"{loader.name!r} failed: {reason}", "mend its module") from error
    if not isinstance(dataset, Dataset):
        what = f"{loader.name!r} returned {type(dataset).__name__}"
        raise UserError.at("data.loader", what, "return a bench.data.base.Dataset")
    return check_dataset(dataset)


def check_dataset(dataset: Dataset) -> Dataset:
    """Return the dataset if the harness can trust it.

    Raises:
        UserError: a mean, std or layout that does not fit the samples, samples shared by two splits or doubled, a
            wrong shape, values that are not finite or out of bounds, labels that are no class, or, unless it says
            ``partial``, a class without any evaluation sample.
    """
    if not dataset.input.shape:
        right = "give images (channels, height, width), vectors (features,) or sequences (channels, steps)"
        raise UserError.at("data", "one sample is a single number, of shape ()", right)
    check_declared(dataset.input, "data")
    seen: dict[str, str] = {}
    for name in ("train", "calibration", "evaluation"):
        part: Samples = getattr(dataset, name)
        check_samples(part, dataset.input, f"data.{name}")
        for sample in part.ids:
            if sample in seen:
                what = f"sample {sample!r} is also in {seen[sample]}"
                raise UserError.at(f"data.{name}", what, "give every sample one id and one split")
            seen[sample] = name
    _check_classes(dataset)
    return dataset


def check_samples(samples: Samples, declared: InputSpec, where: str) -> None:
    """Raise ``UserError`` unless the samples are what the declared input says."""
    if len(samples) == 0:
        return
    if samples.x.shape[1:] != declared.shape:
        raise UserError.at(where, f"samples of shape {samples.x.shape[1:]}", f"give {declared.shape}")
    check_values(samples.x, declared.bounds, where)
    if samples.y is not None and not (samples.y.min() >= 0 and samples.y.max() < len(declared.classes)):
        what = f"labels lie in {samples.y.min()}..{samples.y.max()}"
        raise UserError.at(where, what, f"give classes 0..{len(declared.classes) - 1}")


def check_values(x: NDArray[np.float32], bounds: tuple[float, float], where: str) -> None:
    """Raise ``UserError`` for values that are not finite or lie outside the bounds."""
    if x.size == 0:
        return
    if not np.isfinite([x.min(), x.max()]).all():  # NaN spreads; no copy as large as the images is made
        bad = int((~np.isfinite(x)).reshape(len(x), -1).any(axis=1).sum())
        raise UserError.at(where, f"{bad} of {len(x)} samples hold NaN or infinite values", "give finite values")
    low, high = float(x.min()), float(x.max())
    if low < bounds[0] or high > bounds[1]:
        what = f"values lie in [{low:g}, {high:g}], outside the bounds [{bounds[0]:g}, {bounds[1]:g}]"
        raise UserError.at(where, what, "scale the images or declare their bounds")


def _check_classes(dataset: Dataset) -> None:
    evaluation = dataset.evaluation
    if len(evaluation) == 0:
        raise UserError.at("data.evaluation", "no evaluation samples", "give at least one")
    if evaluation.y is None or dataset.partial:
        return
    counts = np.bincount(evaluation.y, minlength=len(dataset.input.classes))
    empty = [name for name, count in zip(dataset.input.classes, counts, strict=True) if count == 0]
    if empty:
        names = ", ".join(repr(name) for name in empty[:5]) + (" and more" if len(empty) > 5 else "")
        what = f"no evaluation sample of {len(empty)} of {len(counts)} classes: {names}"
        raise UserError.at("data.evaluation", what, "ask for more samples or declare the classes that exist")
