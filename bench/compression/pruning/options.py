"""The choices that ``structured-prune`` offers."""

from typing import Literal

Importance = Literal["l1", "l2", "group-norm", "bn-scale", "taylor", "random"]
"""Of a channel: norm of its own weights, of all coupled weights, BatchNorm's scale, first-order loss change, chance."""
