"""Identified exemplars: samples whose modal label over many networks is another one after compression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.stats.interval import Interval
from bench.stats.paired_swaps import SLACK, swaps
from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import Float
from bench.stats.streams import generator

Classes = NDArray[np.int64]
DRAWS: Final = 1024  # swaps: all of ten pairs; and pairs of resampled populations
BLOCK: Final = 256  # samples worked on at a time


class ModalLabels(NamedTuple):
    """The most frequent class (n,) over networks, how many networks give it, and where no class is the most frequent.

    ``label`` is -1 where ``tied``.
    """

    label: Classes
    votes: Classes
    tied: NDArray[np.bool_]


class IdentifiedExemplars(NamedTuple):
    """Exemplars among n samples, and two scales for their number."""

    reference: ModalLabels
    variant: ModalLabels
    found: NDArray[np.bool_]  # (n,)
    interval: Interval  # of their share, exact
    by_retraining: float  # how many two populations of as many references would differ on, an estimate
    p_value: float  # of 'which network of a pair was compressed has no say in its classes'

    @property
    def number(self) -> int:
        """The number of exemplars.

        >>> identified_exemplars(np.array([[0, 1, 0]]), np.array([[0, 2, 1]])).number
        2
        """
        return int(self.found.sum())

    @property
    def tied(self) -> int:
        """Samples without a modal label on a side; none of them is an exemplar.

        >>> identified_exemplars(np.array([[0, 0], [0, 1]]), np.array([[2, 2], [2, 2]])).tied
        1
        """
        return int((self.reference.tied | self.variant.tied).sum())


def modal_labels(classes: Classes) -> ModalLabels:
    """The mode over networks of their classes (networks, n); where several are most frequent there is none.

    Nothing picks one of them: the class with the largest number is as good as any, and networks that are split say so.

    >>> modal_labels(np.array([[1, 0], [1, 2], [2, 2], [2, 2]]))[:2]
    (array([-1,  2]), array([2, 3]))

    Raises:
        ValueError: If there is no network.
    """
    if classes.ndim != 2 or not len(classes):
        raise ValueError(f"classes of shape {classes.shape}: (networks, samples) are needed")
    votes = (classes[:, None, :] == classes[None, :, :]).sum(axis=0)
    most = votes.max(axis=0)
    label = classes[votes.argmax(axis=0), np.arange(classes.shape[1])]
    tied = ((votes == most) & (classes != label)).any(axis=0)
    return ModalLabels(np.where(tied, -1, label).astype(np.int64), most.astype(np.int64), tied)


def identified_exemplars(reference: Classes, variant: Classes, *words: str | int) -> IdentifiedExemplars:
    """Samples whose modal label over the variants differs from that over the references (arXiv 1911.05248).

    A sample without a modal label on a side is none. Networks disagree on hard samples whatever is done to them, hence
    ``by_retraining``: the mean number of exemplars between two populations drawn with replacement from the references.
    It is an estimate, of ten networks right within a factor of two. ``p_value``: the share of swaps of references with
    their own variants after which the two sides' votes are as far apart or further (total variation, summed over
    samples): exact, all 1,024 swaps of ten pairs, as many drawn ones of more.

    Args:
        reference: Classes that each reference gives, (pairs, n).
        variant: Those of the variant made from each, in the same order, (pairs, n).
        words: Key of the generators.

    Raises:
        ValueError: If the shapes differ, or there is no network or no sample.

    >>> before, after = np.zeros((10, 3), int), np.zeros((10, 3), int)
    >>> after[:, 1] = 7
    >>> found = identified_exemplars(before, after)
    >>> found.found.tolist(), [round(end, 3) for end in found.interval[:2]]
    ([False, True, False], [0.008, 0.906])
    >>> found.by_retraining, found.p_value  # no two references differ; 2 / 1024: no swap, or all
    (0.0, 0.001953125)
    """
    if reference.shape != variant.shape or reference.ndim != 2 or not reference.size:
        raise ValueError(f"classes of shapes {reference.shape} and {variant.shape}: (pairs, n) of both are needed")
    own, other = modal_labels(reference), modal_labels(variant)
    found = ~own.tied & ~other.tied & (own.label != other.label)
    return IdentifiedExemplars(
        own, other, found, clopper_pearson(int(found.sum()), len(found)), by_retraining(reference, *words),
        swap_p_value(reference, variant, *words),
    )  # fmt: skip


def by_retraining(classes: Classes, *words: str | int) -> float:
    """The mean number of samples whose modal labels differ between two populations drawn from networks (networks, n).

    >>> by_retraining(np.array([[0, 1], [0, 1], [0, 1]]))
    0.0
    """
    random = generator("retrained populations", *classes.shape, *words)
    drawn = random.multinomial(len(classes), np.full(len(classes), 1 / len(classes)), size=(2, DRAWS)).astype(float)
    count = 0
    for (votes,) in _votes(classes):
        sides = [np.einsum("sp,pnc->snc", weights, votes, optimize=True) for weights in drawn]
        clear = [(side == side.max(axis=2, keepdims=True)).sum(axis=2) == 1 for side in sides]
        count += int((clear[0] & clear[1] & (sides[0].argmax(axis=2) != sides[1].argmax(axis=2))).sum())
    return count / DRAWS


def swap_p_value(reference: Classes, variant: Classes, *words: str | int) -> float:
    """The share of swaps within pairs after which the sides' votes are as far apart or further.

    >>> swap_p_value(np.array([[0], [0]]), np.array([[1], [1]]))  # no swap and both, of four
    0.5
    """
    swapped = swaps(len(reference), DRAWS, *words)
    signs = np.where(swapped, -1.0, 1.0)
    apart: Float = np.zeros(len(swapped))
    for before, after in _votes(reference, variant):
        apart += np.abs(np.einsum("sp,pnc->snc", signs, after - before, optimize=True)).sum(axis=(1, 2))
    return float((apart >= apart[0] - SLACK).mean())


def _votes(*sides: Classes) -> Iterator[list[NDArray[Any]]]:
    """Of each side 1 where a network gives a class, (networks, rows, classes): only samples on which some disagree."""
    both = np.concatenate(sides)
    contested = np.flatnonzero((both != both[0]).any(axis=0))
    for start in range(0, contested.size, BLOCK):
        rows = contested[start : start + BLOCK]
        classes = [np.unique(both[:, row]) for row in rows]
        most = max(map(len, classes))
        known = np.array([np.pad(item, (0, most - len(item)), constant_values=-1) for item in classes])
        yield [(side[:, rows, None] == known).astype(np.float64) for side in sides]
