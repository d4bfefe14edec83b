"""A canonical form: nodes in an order in which each stands behind its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from bench.canonical_form.nodes import Linear, Node, Nonlinear

Centre: TypeAlias = float | Tensor | Linear
"""A linear map in the place of a nonlinearity: a factor, one for each number (*shape), or a linear node."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, the first of them the input and the last the output; float64."""

    nodes: tuple[Node, ...]

    @property
    def nonlinear(self) -> tuple[int, ...]:
        """The places of the nonlinear nodes."""
        return tuple(place for place, node in enumerate(self.nodes) if isinstance(node, Nonlinear))

    def __call__(self, x: Tensor) -> Tensor:
        """The network's values of x (m, *shape): (m, *shape of the output)."""
        values = [x]
        for node in self.nodes[1:]:
            values.append(node(*(values[k] for k in node.inputs)))
        return values[-1]

    def spread(self, sources: Mapping[int, Tensor], centres: Mapping[int, Centre]) -> list[Tensor | None]:
        """The values (m, *shape) of all nodes where each nonlinearity is its centre, without constants.

        Linear in the sources: they are added to the values of their nodes. None where all is zero.

        Args:
            sources: What is added, by place.
            centres: By the place of a nonlinear node, the linear map that stands for it.
        """
        values: list[Tensor | None] = []
        for place, node in enumerate(self.nodes):
            given = [values[k] for k in node.inputs]
            value: Tensor | None = None
            if isinstance(node, Nonlinear):
                value = None if given[0] is None else _centred(centres[place], given[0])
            elif isinstance(node, Linear) and any(item is not None for item in given):
                m = next(len(item) for item in given if item is not None)
                whole = (
                    torch.zeros(m, *self.nodes[k].shape, dtype=torch.float64) if item is None else item
                    for k, item in zip(node.inputs, given, strict=True)
                )  # fmt: skip
                value = node.linear(*whole)
            if place in sources:
                value = sources[place] if value is None else value + sources[place]
            values.append(value)
        return values


def _centred(centre: Centre, value: Tensor) -> Tensor | None:
    if isinstance(centre, Linear):
        return centre.linear(value)
    if not isinstance(centre, Tensor) and centre == 0:
        return None
    return centre * value
