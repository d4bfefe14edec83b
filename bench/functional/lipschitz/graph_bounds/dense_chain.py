"""A network without branches as a chain of dense layers, where it is small enough."""

from __future__ import annotations

import numpy as np
import torch

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Activation, Linear
from bench.errors import NotApplicable
from bench.functional.lipschitz import chain
from bench.functional.lipschitz.graph_bounds.node_norms import slopes_of
from bench.functional.lipschitz.relaxations.activation_slopes import slopes_on
from bench.functional.lipschitz.relaxations.ends import Ends

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
            slopes = np.full(node.size, float(alpha)), np.full(node.size, float(beta))
            activations.append(chain.Activation(_name(node), *slopes))
            matrix, shift = _start(node.size, node.shape)
    weights.append(matrix.flatten(1).T.numpy().copy())
    biases.append(shift.flatten().numpy().copy())
    return chain.DenseChain(tuple(weights), tuple(biases), tuple(activations))


def local_dense_chain(whole: chain.DenseChain, graph: Graph, ends: list[Ends]) -> chain.DenseChain:
    """The chain with the slopes that occur on a region, without neurons that are off there.

    What never bends is exact in the recursion of chains: there a neuron with one slope is linear (the idea of
    ECLipsE-Gen-Local, arXiv 2510.05261). Any certificate of this chain is one of the network on the region.

    Args:
        whole: what ``dense_chain`` makes of the graph.
        graph: the network.
        ends: of every node's value on the region, from ``relaxations``.

    >>> from bench.canonical_form.trace import canonical_form
    >>> from bench.functional.lipschitz.regions import Box
    >>> from bench.functional.lipschitz.relaxations.intervals import interval_bounds
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).eval()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.eye(2)), network[0].bias.copy_(torch.tensor([1.0, -9.0]))
    >>> graph = canonical_form(network, torch.zeros(1, 2))
    >>> local = local_dense_chain(dense_chain(graph), graph, interval_bounds(graph, Box(np.zeros(2), np.ones(2))))
    >>> local.widths, local.activations[0].alpha.tolist()
    ((2, 1, 1), [1.0])
    """
    weights, biases, activations = list(whole.weights), list(whole.biases), []
    nodes = [node for node in graph.nodes if isinstance(node, Activation)]
    for number, (node, activation) in enumerate(zip(nodes, whole.activations, strict=True)):
        alpha, beta = (slope.numpy() for slope in slopes_on(node, ends[node.inputs[0]]))
        kept = (alpha != 0) | (beta != 0)
        kept[0] |= not kept.any()  # a layer has a neuron at least
        weights[number], biases[number] = weights[number][kept], biases[number][kept]
        weights[number + 1] = weights[number + 1][:, kept]
        activations.append(chain.Activation(activation.name, alpha[kept], beta[kept]))
    return chain.DenseChain(tuple(weights), tuple(biases), tuple(activations))


def _name(node: Activation) -> str:
    """The function's name, told apart from others that chains evaluate under the same one."""
    if "tanh" in node.parameters:
        return "gelu_tanh"
    steep = node.function == "leaky_relu" and node.parameters and float(node.parameters[0] or 0) > 1
    return "steep_leaky_relu" if steep else node.function


def _start(size: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    identity = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    return identity, torch.zeros(1, *shape, dtype=torch.float64)
