"""Search without gradients for natural images to which two networks give different classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable
from bench.functional.attacks.natural_mutations import Mutation, mutated, mutations_for, within_limits
from bench.stats.streams import generator

Images: TypeAlias = NDArray[np.float32]
Scores: TypeAlias = Callable[[Images], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Images (m, channels, height, width) to the log-probabilities (m, classes) of two networks."""

REACH: Final = 0.5  # of a mutation: largest change of one share
IMAGE_AXES: Final = 4


class Searched(NamedTuple):
    """What a search found of each image: (n, ...)."""

    first_query: NDArray[np.int64]  # the query at which the classes differed, from 1; 0: never
    images: Images  # that image, or the one of the largest difference
    shares: NDArray[np.float64]  # (n, kinds), how strongly each kind was applied to it
    difference: NDArray[np.float64]  # total variation of both networks' probabilities on it


class ChoiceOfKind:
    """A Metropolis-Hastings chain over kinds of mutations: kinds that helped are proposed more often.

    Kinds are ranked by how often they raised the difference among the times that they were tried, as untried ones in
    half. A kind drawn uniformly takes the place of the last one with probability ``min(1, (1 − p)^(k_new − k_old))``,
    k the ranks, ``p = 1 / kinds``. After DFLARE, arXiv 2112.02819.

    >>> chain = ChoiceOfKind(2)
    >>> for _ in range(9):
    ...     chain.learn(1, True)
    ...     chain.learn(0, False)
    >>> random = np.random.default_rng(0)
    >>> drawn = [chain.draw(random) for _ in range(3000)]
    >>> round(np.mean(drawn), 1)  # ranks 0 and 1 in the ratio 1 : (1 − 1/2)
    np.float64(0.7)
    """

    def __init__(self, kinds: int) -> None:
        self.helped = np.ones(kinds)
        self.tried = np.full(kinds, 2.0)
        self.last: int | None = None

    def draw(self, random: np.random.Generator) -> int:
        """The next kind; the chain's first one is drawn uniformly."""
        kinds = len(self.tried)
        if self.last is None:
            self.last = int(random.integers(kinds))
            return self.last
        order = np.argsort(-self.helped / self.tried, kind="stable")
        ranks = np.empty(kinds)
        ranks[order] = np.arange(kinds)
        new = int(random.integers(kinds))
        if random.random() < (1 - 1 / kinds) ** (ranks[new] - ranks[self.last]):
            self.last = new
        return self.last

    def learn(self, kind: int, helped: bool) -> None:
        """Remember whether a mutation of this kind raised the difference."""
        self.tried[kind] += 1
        self.helped[kind] += helped


def total_variation(log_p: NDArray[np.float64], log_q: NDArray[np.float64]) -> NDArray[np.float64]:
    """``½ Σ |p − q|`` of log-probabilities (n, classes): (n,), from 0 to 1.

    >>> total_variation(np.log([[0.75, 0.25]]), np.log([[0.25, 0.75]])).tolist()
    [0.5]
    """
    return np.asarray(np.abs(np.exp(log_p) - np.exp(log_q)).sum(axis=1) / 2)


def search_difference(
    images: Images,
    ids: Sequence[str],
    scores: Scores,
    *,
    queries: int,
    guided: bool = True,
    total: float = 1.0,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Searched:
    """Mutate every image until both networks give it different classes, or the queries are spent.

    A mutation changes the share of one kind by up to half of its most, up or down; what leaves the limits is brought
    back (``within_limits``), so that images stay realistic. Guided, the kind is chosen by ``ChoiceOfKind`` and the
    mutated image takes the place of the last one where both networks' probabilities differ no less (total variation).
    Else kinds are drawn uniformly and every mutated image is kept: a random walk within the same limits, the control
    at equal queries. A query asks both networks about one image. After DFLARE, arXiv 2112.02819: its choice of kinds
    and its fitness by the difference of outputs; the limits and the walk of the control are ours.

    The images themselves are asked once, which no budget counts.

    Args:
        images: (n, channels, height, width) within the bounds, to which the networks give one class.
        ids: of the images, n; random numbers depend on an image's own alone.
        scores: both networks' log-probabilities.
        queries: most queries an image, at least 1.
        guided: whether what was found guides the search.
        total: most of ``Σ |share|``, above 0.
        seed: of random numbers.
        bounds: least and greatest value of a pixel.

    Raises:
        NotApplicable: these are no images.
        ValueError: the networks give an image two classes from the start.

    >>> def scores(x):  # two networks that part where the mean pixel is above .55
    ...     bright = x.mean(axis=(1, 2, 3)) > 0.55
    ...     one = np.log([[0.8, 0.2]] * len(x))
    ...     return one, np.where(bright[:, None], one[:, ::-1], one)
    >>> found = search_difference(np.full((1, 1, 4, 4), 0.5, np.float32), ["a"], scores, queries=100)
    >>> bool(found.first_query[0] > 0), bool(found.images.mean() > 0.55)
    (True, True)
    """
    if images.ndim != IMAGE_AXES:
        raise NotApplicable(f"mutations need images (channels, height, width); samples have shape {images.shape[1:]}")
    kinds = mutations_for(images.shape[1:])
    n = len(images)
    begin = _at_start(images, scores)
    found = Searched(np.zeros(n, dtype=np.int64), images.astype(np.float32), np.zeros((n, len(kinds))), begin.copy())
    walk = "guided" if guided else "random"
    walkers = [
        _Walker(kinds, total, generator("adversarial.difference-search", seed, name, walk), difference)
        for name, difference in zip(ids, begin.tolist(), strict=True)
    ]
    open_ = np.arange(n)
    for query in range(1, queries + 1):
        if not open_.size:
            break
        tried = [walkers[row].propose(guided) for row in open_]
        points = np.stack([
            mutated(images[row], shares, kinds, words=(seed, ids[row]), bounds=bounds)
            for row, shares in zip(open_.tolist(), tried, strict=True)
        ])  # fmt: skip
        first, second = scores(points)
        differ = first.argmax(axis=1) != second.argmax(axis=1)
        for place, (row, value) in enumerate(zip(open_.tolist(), total_variation(first, second).tolist(), strict=True)):
            walkers[row].learn(value, guided)
            if differ[place] or value > found.difference[row]:
                found.images[row], found.shares[row] = points[place], tried[place]
                found.difference[row] = value
        found.first_query[open_[differ]] = query
        open_ = open_[~differ]
    return found


def _at_start(images: Images, scores: Scores) -> NDArray[np.float64]:
    """How far the networks are apart on the images themselves."""
    if not len(images):
        return np.zeros(0)
    first, second = scores(images)
    if apart := int((first.argmax(axis=1) != second.argmax(axis=1)).sum()):
        raise ValueError(f"the networks give {apart} of {len(images)} images two classes before any mutation")
    return total_variation(first, second)


class _Walker:
    """Where the search of one image stands."""

    def __init__(
        self, kinds: tuple[Mutation, ...], total: float, random: np.random.Generator, difference: float
    ) -> None:
        self.kinds, self.total, self.random = kinds, total, random
        self.chain = ChoiceOfKind(len(kinds))
        self.shares = np.zeros(len(kinds))
        self.difference = difference
        self.kind, self.tried = 0, self.shares

    def propose(self, guided: bool) -> NDArray[np.float64]:
        """The shares to try next."""
        self.kind = self.chain.draw(self.random) if guided else int(self.random.integers(len(self.kinds)))
        self.tried = self.shares.copy()
        self.tried[self.kind] += self.random.uniform(-REACH, REACH)
        self.tried = within_limits(self.tried, self.kinds, self.total)
        return self.tried

    def learn(self, difference: float, guided: bool) -> None:
        """Take what was tried, or stay."""
        self.chain.learn(self.kind, difference > self.difference)
        if not guided or difference >= self.difference:
            self.shares, self.difference = self.tried, difference
