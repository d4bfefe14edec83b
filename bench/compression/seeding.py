"""The seed of a step, derived from its own and from its replicate's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.stats.streams import derive_seed

Seed = Annotated[int, Field(ge=0, description="another number: another network by the same method")]


def own_seed(replicate: int, seed: int) -> int:
    """The seed of a step in a replicate; 0 is the replicate's own.

    >>> own_seed(7, 0), own_seed(7, 1) == own_seed(7, 2)
    (7, False)
    """
    return replicate if seed == 0 else derive_seed("own seed", replicate, seed)
