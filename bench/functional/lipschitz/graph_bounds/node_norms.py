"""Norms of a canonical form's nodes, by the rule of each kind of layer."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import NamedTuple

from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import (
    Activation,
    AveragePool,
    Convolution,
    Dense,
    Gather,
    Linear,
    MaxPool,
    Node,
    Nonlinear,
    Quantise,
    Scale,
    Softmax,
    Total,
)
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import LayerNorm, Norm
from bench.functional.lipschitz.layer_norms.activation_slopes import Slopes, slopes
from bench.functional.lipschitz.layer_norms.convolution import convolution_l2, convolution_linf, transposed_size
from bench.functional.lipschitz.layer_norms.dense import dense_l2, dense_linf
from bench.functional.lipschitz.layer_norms.lanczos import lanczos_lower, torch_operator
from bench.functional.lipschitz.layer_norms.pooling import average_pool, max_pool

RESTARTS = 5  # of the search for a lower end: some 100 products
UP = 1 + 1e-12  # outward, beyond the rounding of a root or a product


class NonlinearPart(NamedTuple):
    """``φ = centre · id + radius · ψ`` with ψ 1-Lipschitz, and the largest difference quotient of φ itself."""

    centre: float
    radius: float
    largest: float


def nonlinear_part(graph: Graph, place: int, norm: Norm = "l2") -> NonlinearPart:
    """How a nonlinear node is split.

    An activation by the middle and half the width of its slopes. Max pooling and softmax have no centre: their radius
    is their own constant, of softmax ½ (arXiv 2510.23012), of its logarithm √classes in l2 and 2 in l_inf. What rounds
    has none: ``NotApplicable``.
    """
    node = graph.nodes[place]
    if isinstance(node, Quantise):
        raise NotApplicable(f"{node.name}: it rounds, and a function that rounds has no finite Lipschitz constant")
    if isinstance(node, Activation):
        alpha, beta = (float(end) for end in slopes_of(node))
        return NonlinearPart((alpha + beta) / 2, (beta - alpha) / 2 * UP, max(abs(alpha), abs(beta)))
    if isinstance(node, MaxPool):
        size = graph.nodes[node.inputs[0]].shape[-2:]
        try:
            found = max_pool(size, node.kernel, node.stride, node.padding, node.dilation, node.ceil, norm).upper
        except ValueError as error:
            raise NotApplicable(f"{node.name}: {error}") from error
    elif isinstance(node, Softmax) and not node.logarithm:
        found = 0.5
    else:
        assert isinstance(node, Softmax)
        found = sqrt(node.shape[node.axis]) * UP if norm == "l2" else 2.0
    return NonlinearPart(0.0, found, found)


def slopes_of(node: Activation) -> Slopes:
    """The slopes of an activation with its parameters."""
    name = node.function
    if name == "clamp":
        return slopes("hardtanh")
    if name == "gelu":
        return slopes("gelu_tanh" if "tanh" in node.parameters else "gelu")
    numbers = [float(item) for item in node.parameters if isinstance(item, int | float)]
    if name == "leaky_relu" and numbers:
        return slopes(name, negative_slope=numbers[0])
    if name == "elu":
        alpha, scale, input_scale = (numbers + [1.0] * 3)[:3]
        return slopes("selu", alpha=alpha, gamma=scale * abs(input_scale))
    return slopes(name)


class NodeNorms:
    """Upper ends of linear nodes' norms, each found once; ``layers`` is the table of all that were asked for."""

    slack = 1e-6  # the largest of the rules'

    def __init__(self, graph: Graph, norm: Norm = "l2") -> None:
        self.graph, self.norm = graph, norm
        self.known: dict[int, LayerNorm] = {}
        self.asked: list[Node] = []  # kept, so that no other node takes the place of one in memory

    def __call__(self, node: Node) -> float:
        """The upper end of a node's norm."""
        if id(node) not in self.known:
            assert isinstance(node, Linear)
            try:
                self.known[id(node)] = self._of(node)
                self.asked.append(node)
            except ValueError as error:
                raise NotApplicable(f"{node.name}: {error}") from error
        return self.known[id(node)].upper

    @property
    def layers(self) -> tuple[LayerNorm, ...]:
        """Norms of all nodes that were asked for and of all nonlinearities, in the order of the network."""
        found = []
        for place, node in enumerate(self.graph.nodes):
            if id(node) in self.known:
                found.append(self._from_below(node, self.known[id(node)]))
            elif isinstance(node, Nonlinear):
                largest = nonlinear_part(self.graph, place, self.norm).largest
                rule = "slopes" if isinstance(node, Activation) else "windows or classes"
                found.append(LayerNorm(node.name, largest, rule))
        return tuple(found)

    def _from_below(self, node: Node, known: LayerNorm) -> LayerNorm:
        """With the largest gain that a Lanczos iteration finds on the true operator, where no lower end is known."""
        if known.lower > 0 or self.norm != "l2" or not isinstance(node, Convolution):
            return known
        shape = self.graph.nodes[node.inputs[0]].shape
        map_and_adjoint = torch_operator(lambda x: node.linear(x[None])[0], shape)
        self.known[id(node)] = replace(known, lower=lanczos_lower(*map_and_adjoint, shape, restarts=RESTARTS))
        return self.known[id(node)]

    def _of(self, node: Linear) -> LayerNorm:
        two, shape = self.norm == "l2", self.graph.nodes[node.inputs[0]].shape
        if isinstance(node, Dense):
            return (dense_l2 if two else dense_linf)(node.weight.numpy(), node.name)
        if isinstance(node, Convolution):
            return self._convolution(node, shape)
        if isinstance(node, Scale):
            largest = float(node.factor.abs().max())
            return LayerNorm(node.name, largest, "largest factor", largest)
        if isinstance(node, AveragePool):
            if node.divisor is not None:
                raise ValueError("average pooling with a divisor of its own has no norm here")
            size = shape[-2:]
            return average_pool(
                size, node.kernel, node.stride, node.padding, node.ceil, node.count_padding, self.norm, node.name
            )
        if isinstance(node, Total):
            value = abs(node.factor) * (sqrt(node.count) if two else node.count)
            return LayerNorm(node.name, value * UP, "sum of entries", value / UP)
        assert isinstance(node, Gather)
        value = sqrt(node.copies) if two else float(node.copies > 0)
        return LayerNorm(node.name, value if node.copies <= 1 else value * UP, "copies of an entry", value / UP)

    def _convolution(self, node: Convolution, shape: tuple[int, ...]) -> LayerNorm:
        kernel, size = node.weight.numpy(), shape[2:]
        if node.transposed and node.groups > 1:
            raise ValueError("a transposed convolution in groups has no norm here")
        if node.transposed:
            size = transposed_size(
                size, kernel.shape[2:], node.stride, node.padding, node.dilation, node.output_padding or 0
            )
        windows = node.stride, node.padding, node.dilation, node.groups
        if self.norm == "l2":
            return convolution_l2(kernel, size, *windows, layer=node.name)
        return convolution_linf(kernel, size, *windows, transposed=node.transposed, layer=node.name)
