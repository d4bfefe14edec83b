"""Operators that put entries of their input into other places."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from bench.canonical_form.calls import Alive, Call, only_input
from bench.canonical_form.nodes import Gather, Node
from bench.errors import NotApplicable

REARRANGING: Final = frozenset(
    {
        "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "clone", "constant_pad_nd", "contiguous", "detach",
        "expand", "flatten", "flip", "lift_fresh_copy", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat",
        "reshape", "roll", "select", "slice", "squeeze", "t", "transpose", "unsqueeze", "upsample_nearest2d", "view",
    }
)  # fmt: skip
"""Operators that put entries into other places."""
SEVERAL: Final = frozenset({"chunk", "split", "split_with_sizes", "unbind"})
"""Those that do so with several results."""


def rearranged(call: Call) -> Node:
    """A view, a permutation, a slice or the like."""
    alive = only_input(call)
    if call.operator == "constant_pad_nd" and call.argument(2, "value", 0) != 0:
        raise NotApplicable(f"{call.name}: pads with {call.args[2]}, and only padding with zeros is known")
    index = _moved(call, alive) if call.operator != "_to_copy" else _places(alive)  # a copy of another type
    return Gather(index=index.reshape(-1).long(), **call.base(alive))


def parts(call: Call) -> list[Node]:
    """The results of an operator that has several."""
    alive = only_input(call)
    return [
        Gather(name=f"{call.name}.{k}", inputs=(alive.place,), shape=tuple(item.shape), index=item.reshape(-1).long())
        for k, item in enumerate(_moved(call, alive))
    ]


def _places(alive: Alive) -> Tensor:
    """One plus the flat place of each entry."""
    return torch.arange(1, int(torch.Size(alive.shape).numel()) + 1)


def _moved(call: Call, alive: Alive) -> Any:
    """What the operator does with the places of its input: 0 where it puts a zero."""
    places = _places(alive).double().reshape(alive.shape)
    return call.run(*(places if item is alive else item for item in call.args), **call.kwargs)
