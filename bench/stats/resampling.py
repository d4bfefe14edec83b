"""Bootstrap resamples: one stream of counts for n samples, shared by every network and every metric."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.stats.blas_threads import one_thread
from bench.stats.exact_sums import add_weighted, exact_parts
from bench.stats.kept_draws import KeptDraws
from bench.stats.streams import generator

Float: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = NDArray[np.floating[Any]]
Counts: TypeAlias = NDArray[Any]
Statistic: TypeAlias = Callable[..., NDArray[Any]]  # (*arrays, weights (b, n)) -> (b,)
Asked: TypeAlias = tuple[Statistic, Sequence[Any]]  # a statistic and its arrays

DRAWS = 10_000
BLOCK = 2**17  # counts drawn at a time: 1 MB of integers, which stay in a core's cache
LARGE = 2**22  # counts handed to a statistic at a time: what it prepares for each block (a sort, say) is seldom done
KEPT_AS_FLOAT = 2**22  # up to so many counts (32 MiB as float64) are kept as the sums need them; n = 360 is among them
KEPT_DRAWS = KeptDraws()  # of what was asked ahead, under the resamples of the measurement seed 0
KEPT = 2**25  # up to so many (32 MiB as bytes) are kept; more are drawn anew at every pass


@dataclass(frozen=True)
class Resamples:
    """B resamples of n samples, as a stream: rows of Multinomial(n; 1/n, ..., 1/n) counts.

    All networks and metrics with this n see the same resamples, so differences are paired. No (B, n) matrix exists: a
    pass draws blocks of rows, sums them and forgets them. Few counts (n up to 3,355 at 10,000 draws) are kept between
    passes; for more, ``ahead`` answers many questions in one pass.

    Args:
        n: Samples, at least 1.
        draws: Resamples B, at least 1.
        seed: The measurement seed; others than 0 are further draws, which are never kept.

    Raises:
        ValueError: If n or draws is below 1.

    >>> resamples = Resamples(3, 5)
    >>> [block.sum(axis=1).tolist() for block in resamples.blocks()]
    [[3, 3, 3, 3, 3]]
    """

    n: int
    draws: int = DRAWS
    seed: int = 0
    _known: Mapping[Hashable, Float] = field(default_factory=dict, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.n < 1 or self.draws < 1:
            raise ValueError(f"a bootstrap of {self.n} samples with {self.draws} draws has nothing to draw")

    @staticmethod
    def of(weights: NDArray[Any]) -> Resamples:
        """Given resamples instead of drawn ones: (B, n), every row sums to n.

        >>> Resamples.of(np.array([[1, 1], [2, 0]])).means(np.array([1.0, 3.0])).tolist()
        [2.0, 1.0]
        """
        table = np.array(weights, dtype=np.float64)
        if table.ndim != 2 or not np.allclose(table.sum(axis=1), table.shape[1]):
            raise ValueError(f"resamples of shape {table.shape}: every row needs weights that sum to the samples")
        table.flags.writeable = False
        return _Given(table.shape[1], len(table), given=table)

    def blocks(self) -> Iterator[Counts]:
        """The counts in blocks of rows (b, n), as bytes; wider where a count is above 255. Each is the caller's own."""
        return map(_narrowed, self._parts())

    def means(self, values: NDArray[Any]) -> Float:
        """Mean of each row of values in each resample: sum_i w_bi v_i / n.

        Sums are exact and rounded once, so that a resample without any event has a mean of exactly 0, and so that no
        figure depends on the processor, the number of threads, the size of a block, or what is summed beside it.

        Args:
            values: (n,) or (m, n).

        Returns:
            (B,) or (m, B).

        Raises:
            ValueError: If the numbers of samples differ.

        >>> Resamples(4, 3).means(np.ones((2, 4))).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
        """
        table = self._checked(values)
        source = self.ahead([table]) if self._known else None
        means = np.stack([source._known[_content(row)] for row in table]) if source else self._pass(table)[0]
        return means[0] if np.ndim(values) == 1 else means

    def statistic(self, function: Statistic, *arrays: Any) -> Float:
        """A statistic of each resample: ``function(*arrays, weights (b, n)) -> (b,)``, block by block.

        Args:
            function: Takes the arrays (or mappings of arrays) and float64 weights whose rows sum to n.
            arrays: What it is a statistic of.

        Returns:
            (B,).

        >>> Resamples.of(np.array([[1, 1], [2, 0]])).statistic(lambda x, weights: weights @ x, np.array([1.0, 3.0]))
        array([4., 2.])
        """
        if self._known and (known := self._known.get((function, *map(_content, arrays)))) is not None:
            return known.copy()
        return self._pass(np.empty((0, self.n)), [(function, arrays)])[1][0]

    def ahead(self, vectors: Iterable[NDArray[Any]] = (), statistics: Sequence[tuple[Any, ...]] = ()) -> Resamples:
        """The same resamples, which know the means of these vectors and these statistics: all from one pass.

        What is asked of them later is found by its content; what was forgotten here costs a further pass and nothing
        else.

        Args:
            vectors: Arrays (n,) or (m, n) whose means will be asked for.
            statistics: Tuples of a function and its arrays, as ``statistic`` takes them.

        >>> resamples = Resamples(4, 3)
        >>> known = resamples.ahead([np.arange(4.0)])
        >>> known == resamples, bool((known.means(np.arange(4.0)) == resamples.means(np.arange(4.0))).all())
        (True, True)
        """
        rows = {_content(row): row for table in map(self._checked, vectors) for row in table}
        asked = {(function, *map(_content, arrays)): (function, arrays) for function, *arrays in statistics}
        known: dict[Hashable, Float] = {**self._found_again((*rows, *asked)), **self._known}
        rows = {key: row for key, row in rows.items() if key not in known}
        asked = {key: item for key, item in asked.items() if key not in known}
        if rows or asked:
            table = np.stack(list(rows.values())) if rows else np.empty((0, self.n))
            means, figures = self._pass(table, list(asked.values()))
            made = dict(zip((*rows, *asked), (*means, *figures), strict=True))
            self._keep(made)
            known |= made
        return self if len(known) == len(self._known) else replace(self, _known=known)

    def _found_again(self, keys: Iterable[Hashable]) -> dict[Hashable, Float]:
        """What was answered before under the very same resamples."""
        kept = {} if self.seed else {key: KEPT_DRAWS.get((self.n, self.draws, key)) for key in keys}
        return {key: draws for key, draws in kept.items() if draws is not None}

    def _keep(self, made: Mapping[Hashable, Float]) -> None:
        """Keep it for whoever asks under the same resamples; further draws are never kept."""
        for key, draws in () if self.seed else made.items():
            KEPT_DRAWS.put((self.n, self.draws, key), draws)

    def _parts(self) -> Iterable[Counts]:
        if self.seed == 0 and self.n * self.draws <= KEPT:
            return _kept_blocks(self.n, self.draws, self.seed)
        return _drawn(self.n, self.draws, self.seed, BLOCK)

    def _checked(self, values: NDArray[Any]) -> Float:
        table = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if table.ndim != 2 or table.shape[1] != self.n:
            raise ValueError(f"{table.shape[-1]} values and resamples of {self.n} samples")
        return table

    def _weights(self, size: int) -> Iterator[Float]:
        """Blocks of rows in float64, some ``size`` counts each, to be read before the next one is asked for."""
        buffer, held = np.empty((0, self.n)), 0
        for part in self._parts():
            if part.dtype == np.float64:
                yield part
                continue
            if len(buffer) == 0:
                buffer = np.empty((max(1, min(self.draws, size // self.n)), self.n))
            if held + len(part) > len(buffer):
                yield buffer[:held]
                held = 0
            buffer[held : held + len(part)] = part
            held += len(part)
        if held:
            yield buffer[:held]

    def _pass(self, table: Float, statistics: Sequence[Asked] = ()) -> tuple[Float, list[Float]]:
        """Means of the table's rows (m, B), and the statistics (B,) each, in one pass over the resamples."""
        parts, sums = exact_parts(table), np.empty((len(table), self.draws))
        figures = [np.empty(self.draws) for _ in statistics]
        start = 0
        size = LARGE if statistics else min(8 * BLOCK, max(2 * BLOCK, 16 * self.n))  # a product needs several rows
        with one_thread():
            for weights in self._weights(size):
                rows = slice(start, start := start + len(weights))
                add_weighted(parts, weights, sums[:, rows])
                for (function, arrays), out in zip(statistics, figures, strict=True):
                    out[rows] = function(*arrays, weights)
        sums /= self.n
        return sums, figures


@dataclass(frozen=True, eq=False)
class _Given(Resamples):
    """Resamples that were handed in."""

    given: Float = field(default_factory=lambda: np.empty((0, 0)), repr=False, kw_only=True)

    def blocks(self) -> Iterator[Counts]:
        yield self.given.copy()

    def _parts(self) -> Iterable[Counts]:
        return (self.given,)

    def _found_again(self, keys: Iterable[Hashable]) -> dict[Hashable, Float]:
        return {}

    def _keep(self, made: Mapping[Hashable, Float]) -> None:
        """Others of this n are other resamples."""


def _narrowed(counts: Counts) -> Counts:
    """Counts as bytes; a count above 255, which a byte cannot hold, gets four."""
    return counts.astype(np.uint8 if counts.max() <= 255 else np.uint32)


def _drawn(n: int, draws: int, seed: int, block: int) -> Iterator[Counts]:
    """Blocks of counts from a generator that depends on seed and n alone, whatever the size of a block."""
    random = generator("bootstrap", seed, n)
    rows = max(1, block // n)
    while draws > 0:
        shape = min(draws, rows), n
        draws -= shape[0]
        index = random.integers(n, size=shape, dtype=np.int32)
        index += np.arange(shape[0], dtype=np.int32)[:, None] * n
        yield _narrowed(np.bincount(index.ravel(), minlength=index.size).reshape(shape))


@lru_cache(maxsize=4)
def _kept_blocks(n: int, draws: int, seed: int) -> tuple[Counts, ...]:
    """All blocks of few counts, read-only; of very few as float64, which the sums need."""
    if n * draws <= KEPT_AS_FLOAT:
        parts = [part.astype(np.float64) for part in _drawn(n, draws, seed, 8 * BLOCK)]
    else:
        parts = list(_drawn(n, draws, seed, BLOCK))
    for part in parts:
        part.flags.writeable = False
    return tuple(parts)


def _content(value: Any) -> Hashable:
    """A key that is equal for arrays, and mappings of arrays, of equal content."""
    if isinstance(value, Mapping):
        return tuple((name, _content(value[name])) for name in sorted(value))
    array = np.ascontiguousarray(value)
    return array.dtype.str, array.shape, blake2b(array.view(np.uint8).data if array.size else b"").digest()


def resampled_means(values: NDArray[Any], weights: Weights) -> Float:
    """Mean of each row of values under each row of weights, for statistics that are handed weights: see ``means``.

    Args:
        values: (n,) or (m, n).
        weights: (b, n), rows that sum to n.

    Returns:
        (b,) or (m, b).

    Raises:
        ValueError: If the numbers of samples differ.

    >>> resampled_means(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    draws, n = weights.shape
    if table.shape[1] != n:
        raise ValueError(f"{table.shape[1]} values and weights for {n} samples")
    means = np.empty((len(table), draws))
    add_weighted(exact_parts(table), np.asarray(weights, dtype=np.float64), means)
    means /= n
    return means[0] if np.ndim(values) == 1 else means
