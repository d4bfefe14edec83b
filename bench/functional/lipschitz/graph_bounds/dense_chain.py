"""A network without branches as a chain of dense layers, where it is small enough."""

from __future__ import annotations

import numpy as np
import torch

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Linear
from bench.errors import NotApplicable
from bench.functional.lipschitz import chain
from bench.functional.lipschitz.graph_bounds.node_norms import slopes_of

MOST = 2048  # neurons of a layer


def dense_chain(graph: Graph, most: int = MOST) -> chain.DenseChain:
    """The chain that a network without branches is: what lies between two activations is written out as one matrix.

    Convolutions and average pools too, so that the sharper bounds of chains hold for small convolutional networks.

    Raises:
        NotApplicable: there are branches, max pooling or a softmax, or a layer has more than ``most`` neurons.

    >>> from bench.canonical_form.trace import canonical_form
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    >>> dense_chain(canonical_form(network, torch.zeros(1, 1, 3, 3))).widths
    (9, 8, 3)
    """
    for place, node in enumerate(graph.nodes[1:], start=1):
        if node.inputs != (place - 1,):
            raise NotApplicable(f"{node.name}: the network has branches, and a chain has none")
        if not isinstance(node, Linear | Activation):
            raise NotApplicable(f"{node.name}: {type(node).__name__} has no place in a chain of layers with slopes")
        if node.size > most and isinstance(node, Activation):
            raise NotApplicable(f"{node.name}: {node.size} neurons; methods for chains take {most} a layer")
    if graph.nodes[0].size > 4 * most:
        raise NotApplicable(f"{graph.nodes[0].size} inputs; methods for chains take {4 * most}")
    weights, biases, activations = [], [], []
    entry = graph.nodes[0]
    matrix, shift = _start(entry.size, entry.shape)
    for node in graph.nodes[1:]:
        if isinstance(node, Linear):
            with torch.no_grad():
                matrix, shift = node.linear(matrix), node(shift)
        else:
            assert isinstance(node, Activation)
            weights.append(matrix.flatten(1).T.numpy().copy())
            biases.append(shift.flatten().numpy().copy())
            alpha, beta = slopes_of(node)
            activations.append(
                chain.Activation(node.function, np.full(node.size, float(alpha)), np.full(node.size, float(beta)))
            )
            matrix, shift = _start(node.size, node.shape)
    weights.append(matrix.flatten(1).T.numpy().copy())
    biases.append(shift.flatten().numpy().copy())
    return chain.DenseChain(tuple(weights), tuple(biases), tuple(activations))


def _start(size: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    identity = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    return identity, torch.zeros(1, *shape, dtype=torch.float64)
