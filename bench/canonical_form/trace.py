"""The canonical form of a torch module, by what its operators do with one sample."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from bench.canonical_form.calls import Alive, Call
from bench.canonical_form.graph import Graph
from bench.canonical_form.nodes import Input, Node
from bench.canonical_form.operators import Rounding, nodes_of
from bench.canonical_form.quantisers import quantisers, surrogate
from bench.canonical_form.roundings import COMPARING, Compared, compared
from bench.canonical_form.simplify import simplified
from bench.errors import NotApplicable, UserError

OF_SHAPES = frozenset({"full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"})  # not of values
AGREEMENT = 1e-4  # relative to the largest figure: what float32 sums may differ by


def canonical_form(module: nn.Module, example: Tensor, rounding: Rounding = "refuse") -> Graph:
    """The graph of affine maps and nonlinearities that a network is, simplified, in float64.

    Dropout is gone, BatchNorm and other factors are folded into the layer before them, dense maps that follow each
    other are one. The graph is tried on the example: it must answer as the module does, at boundaries of rounding up to
    steps of its quantisers.

    Args:
        module: a network in evaluation mode.
        example: samples (n, ...) like those the network takes; values play no part in the graph.
        rounding: ``keep`` makes ``Quantise`` nodes of what rounds activations, ``refuse`` refuses it.

    Raises:
        NotApplicable: a layer has no canonical form (it is named), a weight is NaN or infinite, the network answers a
            batch otherwise than its samples, or there is no layer at all.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.ReLU(), nn.Linear(3, 1)).eval()
    >>> graph = canonical_form(network, torch.zeros(1, 2))
    >>> [type(node).__name__ for node in graph.nodes]
    ['Input', 'Dense', 'Activation', 'Dense']
    """
    graph = simplified(unsimplified_form(module, example, rounding))
    if len(graph.nodes) == 1:
        raise NotApplicable("the network has no layer: its output is its input")
    _compare(graph, module, example)
    return graph


def unsimplified_form(module: nn.Module, example: Tensor, rounding: Rounding = "refuse") -> Graph:
    """The graph with each of the network's operators as a node of its own, under the name of its layer.

    Raises:
        NotApplicable: as ``canonical_form``, which also holds the graph to the module's answers.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    >>> [(type(node).__name__, node.name) for node in unsimplified_form(network, torch.zeros(1, 2)).nodes]
    [('Input', 'input'), ('Dense', '0'), ('Scale', '1')]
    """
    traced, layers = _traced(module, example[:1])
    return Graph(tuple(_nodes(traced, layers, example[:1], rounding)))


def _traced(module: nn.Module, sample: Tensor) -> tuple[fx.GraphModule, dict[int, str]]:
    """Torch's operators on one sample, and the layer of each weight; the module itself is left as it is."""
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise NotApplicable(f"{name}: a weight is NaN or infinite")
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or layer.running_mean is None):
            raise NotApplicable(f"{name}: BatchNorm in training mode: an answer depends on the whole batch")
    own = copy.deepcopy(module).requires_grad_(False)
    try:
        # one mode for what torch notes of every value; else each makes its own, which costs more than all the rest
        noting = TracingContext(FakeTensorMode(allow_fallback_kernels=True))
        with torch.no_grad(), tracing(noting):
            # what constants steer is followed; what the input's values steer is an operator on them without a rule
            traced = make_fx(own, _error_on_data_dependent_ops=False)(sample)
    except (RuntimeError, ValueError, TypeError, IndexError, UserError) as error:
        what = str(error).splitlines()[0]
        raise NotApplicable(f"the network cannot be followed operator by operator: {what}") from error
    # a module may answer by the weights of another object than its own copies
    named = [*_tensors(own), *_tensors(module)]
    return traced, {id(value): name.rpartition(".")[0].removeprefix("network.") for name, value in named}


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


class _Walk(fx.Interpreter):
    """Runs what does not depend on the input, and collects the nodes of what does."""

    def __init__(
        self, traced: fx.GraphModule, layers: dict[int, str], shape: tuple[int, ...], rounding: Rounding
    ) -> None:
        super().__init__(traced)
        self.rounding: Rounding = rounding
        self.extra_traceback = False
        self.made: list[Node] = [Input(name="input", shape=shape)]
        self.layers = layers
        self.named: dict[fx.Node, str] = {}  # the layer that a constant belongs to
        self.current = self.last = ""

    def run_node(self, n: fx.Node) -> Any:
        """A node of the trace, under the name of the layer whose weights it takes, else of the one before it."""
        if n.op == "get_attr":
            self.named[n] = self.layers.get(id(self.fetch_attr(str(n.target))), "")
        own = next((self.named[item] for item in n.all_input_nodes if self.named.get(item)), "")
        if own and n.op == "call_function":
            self.last = own
        if own and len(n.all_input_nodes) == 1:  # a constant that is made of one
            self.named[n] = own
        self.current = own or (f"{n.name} behind {self.last}" if self.last else n.name)
        return super().run_node(n)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A constant, or the place of a value."""
        if not any(map(_alive, [*args, *kwargs.values()])):
            return super().call_function(target, args, kwargs)
        if target is operator.getitem:
            return args[0][args[1]]
        named = target.overloadpacket.__name__.removesuffix("_")
        shaped = [_stand_in(item) for item in args]
        out = target(*shaped, **kwargs)
        call = Call(self.current, named, target, args, kwargs, out)
        if named in COMPARING:
            return compared(call)
        if named in OF_SHAPES:
            return out
        found = nodes_of(call, self.rounding)
        dtype = (out[0] if isinstance(out, tuple | list) else out).dtype
        if isinstance(found, list):
            return [self._put(node, dtype) for node in found]
        place = self._put(found, dtype)
        return (place, None, None) if isinstance(out, tuple) else place

    def _put(self, node: Node, dtype: torch.dtype) -> Alive:
        self.made.append(node)
        return Alive(len(self.made) - 1, node.shape, dtype)


def _alive(value: Any) -> bool:
    """Whether a value, or one in a list of them, depends on the input."""
    return isinstance(value, Alive | Compared) or (isinstance(value, list | tuple) and any(map(_alive, value)))


def _stand_in(value: Any) -> Any:
    """A tensor of the value's shape."""
    if isinstance(value, Alive):
        return torch.zeros(value.shape, dtype=value.dtype)
    if isinstance(value, Compared):
        return torch.zeros(value.alive.shape, dtype=torch.bool)
    return [_stand_in(item) for item in value] if isinstance(value, list | tuple) else value


def _nodes(traced: fx.GraphModule, layers: dict[int, str], sample: Tensor, rounding: Rounding) -> list[Node]:
    walk = _Walk(traced, layers, tuple(sample.shape), rounding)
    out = walk.run(Alive(0, tuple(sample.shape), sample.dtype))
    if not isinstance(out, Alive):
        raise NotApplicable("the network's output does not depend on its input, or it has several")
    return walk.made[: out.place + 1]


def _compare(graph: Graph, module: nn.Module, example: Tensor) -> None:
    """Hold the graph to the module's own answers.

    Where it rounds, float32 and float64 may fall to two sides of a boundary, and a step of one quantiser moves what
    stands behind it. So both may then be as far apart as two roundings of the same network can: twice the largest
    distance of the graph from its surrogate, on these samples.
    """
    with torch.no_grad():
        own, x = module(example), example.double()[:, None]
        found = graph(x)
        allowed = AGREEMENT * (float(own.abs().max()) or 1.0)
        if quantisers(graph):
            allowed += 2 * float((found - surrogate(graph)(x)).abs().max())
    if not float((found.reshape(own.shape) - own).abs().max()) <= allowed:
        raise NotApplicable(
            "the network does not answer as its layers do one by one: it may depend on the batch or on values"
        )
