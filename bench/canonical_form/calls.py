"""One operator of a traced network as it was called, with what depends on the input told apart from constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from bench.errors import NotApplicable


class Alive(NamedTuple):
    """A value that depends on the input: its place in the graph, its shape and its type in the network."""

    place: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class Call(NamedTuple):
    """One operator as it was called: its name in the network, the operator's, the operator, and its arguments."""

    name: str
    operator: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any  # its result in the trace, for shapes

    def argument(self, number: int, name: str, default: Any) -> Any:
        """A positional argument or the one of that name."""
        return self.args[number] if len(self.args) > number else self.kwargs.get(name, default)

    def base(self, *alive: Alive) -> dict[str, Any]:
        """The fields that every node has."""
        shape = tuple((self.out[0] if isinstance(self.out, tuple) else self.out).shape)
        return {"name": self.name, "inputs": tuple(item.place for item in alive), "shape": shape}


def only_input(call: Call) -> Alive:
    """The first argument, where it alone depends on the input; else ``NotApplicable``."""
    first, *others = call.args
    if not isinstance(first, Alive) or any(isinstance(item, Alive) for item in others):
        raise NotApplicable(f"{call.name}: {call.operator!r} is not known with these operands")
    return first
