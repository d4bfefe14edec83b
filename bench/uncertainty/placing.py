"""Places in a network where hidden units can be masked member by member."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import torch
from torch import fx, nn

from bench.errors import UserError
from bench.networks.network import InputSpec

ACTIVATIONS: Final = (nn.ReLU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ReLU6, nn.Hardswish, nn.ELU, nn.Tanh, nn.Sigmoid)
COMPUTING: Final = (nn.Conv1d, nn.Conv2d, nn.Linear)
ADDING: Final = (operator.add, operator.iadd, torch.add)


class Place(NamedTuple):
    """An activation by its name, how many units it has, and how many dimensions follow them."""

    name: str
    units: int
    dimensions: int


def maskable_places(module: nn.Module, declared: InputSpec) -> list[Place]:
    """The activations whose units may be masked: hidden ones, in residual networks those inside a branch alone.

    What is added to a shortcut carries what other layers put there, so that a mask on it would cut them too.

    Raises:
        UserError: the module's code cannot be traced, or there is no such activation.
    """
    graph, layers = _traced(module)
    names = [node.target for node in graph.nodes if _is(node, layers, ACTIVATIONS) and _inside(node, layers)]
    if not names or len(set(names)) < len(names):
        what = "no hidden activation can be masked" if not names else "an activation is called twice"
        raise UserError.at("reference.method", what, "give an architecture with an activation of its own a layer")
    return [_measured(module, name, declared) for name in names]


def _traced(module: nn.Module) -> tuple[fx.Graph, dict[str, nn.Module]]:
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception as error:  # whatever the user's forward pass raises
        what = f"the network's code cannot be traced: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError.at("reference.method", what, "give an architecture without branches on values") from error
    return graph, dict(module.named_modules())


def _is(node: fx.Node, layers: dict[str, nn.Module], kinds: tuple[type[nn.Module], ...]) -> bool:
    return node.op == "call_module" and isinstance(layers[str(node.target)], kinds)


def _adds(node: fx.Node) -> bool:
    return (node.op == "call_function" and node.target in ADDING) or (node.op == "call_method" and node.target == "add")


def _inside(node: fx.Node, layers: dict[str, nn.Module]) -> bool:
    """Whether no sum lies between the activation and the next layer that computes, or the one before."""
    users = list(_reached(node, layers, lambda each: list(each.users)))
    sources = list(_reached(node, layers, lambda each: each.all_input_nodes))
    return not any(_adds(each) or each.op == "output" for each in users) and not any(map(_adds, sources))


def _reached(
    node: fx.Node, layers: dict[str, nn.Module], following: Callable[[fx.Node], list[fx.Node]]
) -> Iterator[fx.Node]:
    """Every node on the way until a layer that computes, or a sum."""
    for each in following(node):
        yield each
        if not _is(each, layers, COMPUTING) and not _adds(each):
            yield from _reached(each, layers, following)


def _measured(module: nn.Module, name: str, declared: InputSpec) -> Place:
    """A place with the shape that two samples have there."""
    shapes: list[tuple[int, ...]] = []
    handle = module.get_submodule(name).register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(2, *declared.shape))
    finally:
        handle.remove()
        module.train(was_training)
    return Place(name, shapes[0][1], len(shapes[0]) - 2)


def norm_before(module: nn.Module, activation: str) -> str:
    """The BatchNorm whose output an activation takes, by its name; empty where there is none."""
    graph, layers = _traced(module)
    node = next(node for node in graph.nodes if node.target == activation)
    before = node.all_input_nodes[0]
    return str(before.target) if _is(before, layers, (nn.BatchNorm1d, nn.BatchNorm2d)) else ""


class Branch(NamedTuple):
    """The last layer of a residual branch by its name, and the dimensions of what it gives."""

    name: str
    dimensions: int


def residual_branches(module: nn.Module, declared: InputSpec) -> list[Branch]:
    """The residual branches from the first to the last, each by the layer whose output is added to the shortcut.

    Of the two terms of a sum the branch is the one with more layers that compute.

    Raises:
        UserError: the module's code cannot be traced, or nothing is added in it.
    """
    graph, layers = _traced(module)
    names = []
    for node in graph.nodes:
        terms = node.all_input_nodes
        if _adds(node) and len(terms) == 2:
            depths = [_depth(term, frozenset(terms) - {term}, layers, {}) for term in terms]
            names.append(str(terms[depths.index(max(depths))].target))
    if not names:
        what = "the network has no residual branch that could be left out"
        raise UserError.at("reference.method", what, 'give an architecture with shortcuts, such as "resnet8"')
    return [Branch(name, _measured(module, name, declared).dimensions + 1) for name in names]


def _depth(node: fx.Node, stop: frozenset[fx.Node], layers: dict[str, nn.Module], known: dict[fx.Node, int]) -> int:
    """The most layers that compute on a way back from a node to the input, or to the other term."""
    if node in stop or node.op == "placeholder":
        return 0
    if node not in known:
        before = max((_depth(each, stop, layers, known) for each in node.all_input_nodes), default=0)
        known[node] = before + int(_is(node, layers, COMPUTING))
    return known[node]
