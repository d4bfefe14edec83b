"""Which channels of one network each member of a self-ensemble has: equal shares, disjoint or overlapping."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.stats.streams import generator

Kind = Literal["importance", "random", "contiguous"]


def member_size(channels: int, members: int, overlap: float) -> int:
    """Channels of each member: ``m = c/K + overlap (c − c/K)`` to the nearest, never below c/K.

    Linear from disjoint members (overlap 0, each channel in one member) to equal ones (overlap 1, each has all).

    Raises:
        ValueError: If the overlap is not from 0 to 1, or there are fewer channels than members or no member; at
            overlap 0 also where the members do not divide the channels, which then are not equal disjoint shares.

    >>> [member_size(12, 3, overlap) for overlap in (0, 0.25, 1)]
    [4, 6, 12]
    """
    if not 1 <= members <= channels:
        raise ValueError(f"{channels} channels for {members} members: each member needs one of its own")
    if not 0.0 <= overlap <= 1.0:
        raise ValueError(f"overlap {overlap}: it goes from 0 (disjoint members) to 1 (all have all channels)")
    if overlap == 0.0 and channels % members:
        wide = -(-channels // members) * members
        raise ValueError(
            f"{channels} channels are not {members} equal disjoint shares; {wide - members} or {wide} channels are, "
            "or an overlap above 0"
        )
    share = channels / members
    return max(round(share + overlap * (channels - share)), -(-channels // members))


def partition(
    importance: NDArray[Any], members: int, overlap: float, kind: Kind = "importance", seed: int = 0, layer: str = ""
) -> NDArray[np.bool_]:
    """Channels of each member, (members, channels) of bool: ``member_size`` each, every channel in some member.

    With m channels a member, each channel is in ``floor(K m / c)`` members or in one more. So two members share the
    same number of channels in the mean over pairs whatever the kind. Kinds:

    - ``importance``: channels are dealt in order of importance, the most important first and, where some are in one
      member more, to one member more. Each goes to the member with the fewest channels so far; among those to one that
      shares least with who else gets it, so that all pairs overlap about alike; then to the one whose channels sum to
      the least importance. The sums of members differ by at most the largest single importance: of disjoint ones
      because of a round of K channels the first goes to whoever has least; of overlapping ones it was so in 20,000
      random trials. Of a narrow layer two members may have the same channels.
    - ``random``: dealt alike in random order, ties to random members, whatever the importance.
    - ``contiguous``: member k has m channels in a row from ``floor(k c / K)`` on, around the end to the first.

    Args:
        importance: Of each channel, (channels,), finite and ≥ 0; its length alone matters for the other kinds.
        members: K.
        overlap: From 0 to 1, as ``member_size`` says.
        kind: Who gets which channels.
        seed: Of the random kind.
        layer: Name of the layer, so that layers of one width differ in the random kind.

    Raises:
        ValueError: as ``member_size``; for an unknown kind, or an importance that is negative, infinite or NaN.

    >>> partition(np.array([4.0, 3.0, 2.0, 1.0]), 2, 0).astype(int).tolist()  # 4 + 1 and 3 + 2
    [[1, 0, 0, 1], [0, 1, 1, 0]]
    >>> partition(np.ones(4), 2, 0.5, "contiguous").astype(int).tolist()
    [[1, 1, 1, 0], [1, 0, 1, 1]]
    """
    weight = np.asarray(importance, dtype=np.float64)
    if weight.ndim != 1 or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"importance of shape {weight.shape}: finite numbers of at least 0, one a channel, are needed")
    channels = len(weight)
    size = member_size(channels, members, overlap)
    if kind == "contiguous":
        starts = np.arange(members) * channels // members
        return np.asarray((np.arange(channels) - starts[:, None]) % channels < size)
    if kind == "importance":
        return _dealt(np.argsort(-weight, kind="stable"), weight, size, np.zeros((channels, members)))
    if kind == "random":
        random = generator("channel partition", seed, layer)
        return _dealt(random.permutation(channels), np.zeros(channels), size, random.random((channels, members)))
    raise ValueError(f"kind {kind!r}: importance, random or contiguous")


def _dealt(
    order: NDArray[np.int64], weight: NDArray[np.float64], size: int, ties: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Channels dealt in an order; sizes never differ by more than one, so each channel finds its members."""
    channels, members = ties.shape
    least, more = divmod(members * size, channels)
    held = np.zeros((members, channels), dtype=np.bool_)
    sums, sizes = np.zeros(members), np.zeros(members, dtype=np.int64)
    shared = np.zeros((members, members), dtype=np.int64)  # channels that two members both have
    for rank, channel in enumerate(order):
        takers: list[int] = []
        for _ in range(least + (rank < more)):
            ranked = np.lexsort((ties[rank], sums, shared[takers].sum(axis=0), sizes, held[:, channel]))
            takers.append(int(ranked[0]))
            held[takers[-1], channel] = True
        sums[takers] += weight[channel]
        sizes[takers] += 1
        shared[np.ix_(takers, takers)] += 1
    return held
