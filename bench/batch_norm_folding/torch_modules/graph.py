"""Reads a torch module as a folding graph, by torch.fx."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from bench.batch_norm_folding.formulas import Affine
from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode, Role
from bench.batch_norm_folding.torch_modules.layers import as_layer, known, pads_with_zeros, read_weights
from bench.batch_norm_folding.torch_modules.operations import Operations
from bench.batch_norm_folding.torch_modules.tracing import Shapes, as_node, asks_for_sizes, attribute, trace


class TorchGraph(NamedTuple):
    """The graph, its layers' weights in float64, and why further BatchNorms cannot be looked at."""

    graph: FoldingGraph
    weights: dict[str, Affine]
    unseen: dict[str, str]


def read_module(module: nn.Module, shape: tuple[int, ...]) -> TorchGraph:
    """Trace a module in eval mode and read what each step is to a map of channels.

    Convolutions, linear layers, BatchNorms and average pools are taken whole, subclasses of them too: one that pads
    in its own forward, say. A subclass counts as a layer only if it answers to its weight and bias as such a layer,
    which is tried on noise.

    Args:
        module: a torch module in eval mode; it is run once on zeros and left as it was.
        shape: of one input.
    """
    norms = [name for name, child in module.named_modules() if isinstance(child, _BatchNorm)]
    try:
        traced, shapes = trace(module, shape)
    except Exception as error:  # tracing runs the network's own code: whatever it raises, nothing can be folded
        reason = f"torch.fx cannot trace the network: {' '.join(str(error).split())[:200]}"
        return TorchGraph(FoldingGraph((), {}), {}, dict.fromkeys(norms, reason))
    reader = _Reader(module, traced, shapes)
    steps = [node for node in traced.nodes if node.op not in ("placeholder", "output", "get_attr")]
    nodes = tuple(reader.node(node) for node in steps if not asks_for_sizes(node))
    called = {str(node.target) for node in traced.nodes if node.op == "call_module"}
    seen = {node.name for node in nodes if node.role is Role.NORM}
    unseen = {name: reader.refused.get(name, "the forward pass does not call it") for name in norms if name not in seen}
    unseen |= {name: reader.refused[name] for name in called & set(unseen) if name in reader.refused}
    outputs = frozenset(value.name for node in traced.nodes if node.op == "output" for value in node.all_input_nodes)
    channels = {name: size[1] for name, size in shapes.items() if len(size) > 1}
    return TorchGraph(FoldingGraph(nodes, channels, outputs), reader.weights, unseen)


class _Reader:
    """Reads one traced node after the other; collects weights, and why BatchNorms are refused."""

    def __init__(self, module: nn.Module, traced: fx.Graph, shapes: Shapes) -> None:
        self.operations = Operations(shapes)
        self.modules = dict(module.named_modules(remove_duplicate=False))
        self.weights: dict[str, Affine] = {}
        self.refused: dict[str, str] = {}
        self.calls = Counter(id(self.modules[str(node.target)]) for node in traced.nodes if node.op == "call_module")
        self.read = [id(attribute(module, str(node.target))) for node in traced.nodes if node.op == "get_attr"]
        self.owners = Counter(id(value) for child in module.modules() for value in child.parameters(recurse=False))

    def node(self, node: fx.Node) -> FoldingNode:
        if node.op == "call_module":
            return self.layer(node)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return self.operations.function(node, str(name))

    def layer(self, node: fx.Node) -> FoldingNode:
        name, child = str(node.target), self.modules[str(node.target)]
        label = f"{name} ({type(child).__name__})"
        if isinstance(child, (_ConvNd, nn.Linear, _BatchNorm)):
            reason = self.obstacle(node, child)
            if reason:
                self.refused[name] = f"it {reason}"
                return as_node(node, Role.BARRIER, f"{label}, which {reason},")
            self.weights[name] = read_weights(child)
            if isinstance(child, _BatchNorm):
                return as_node(node, Role.NORM, label)
            return as_node(node, Role.LAYER, label, zero_padded=pads_with_zeros(child))
        if getattr(child, "_forward_hooks", None) or getattr(child, "_forward_pre_hooks", None):
            return as_node(node, Role.BARRIER, f"{label}, which has hooks,")
        return self.operations.module(node, child, label)

    def obstacle(self, node: fx.Node, child: Any) -> str:
        """Why a layer's weights cannot be changed, or a BatchNorm not be folded; empty where they can."""
        if len(node.all_input_nodes) != 1 or len(node.args) != 1:
            return "takes more than one value"
        if isinstance(child, _BatchNorm):
            if type(child) not in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
                return f"is a {type(child).__name__}"
            if child.running_mean is None or child.running_var is None:
                return "has no running statistics: it normalises by the batch"
            if child.training:
                return "is in training mode"
        own = [id(value) for value in child.parameters(recurse=False)]
        if self.calls[id(child)] > 1 or any(value in self.read or self.owners[value] > 1 for value in own):
            return "is used more than once"
        if getattr(child, "parametrizations", None) or child._forward_hooks or child._forward_pre_hooks:
            return "has hooks or parametrizations"
        if isinstance(child, nn.Linear) and self.operations.rank(node, 0) != 2:
            return "has more than one position, so its features are not the channels"
        if isinstance(child, (nn.modules.conv._ConvNd, nn.Linear)) and not known(child):
            return as_layer(child, self.operations.shape(node, 0))
        return ""
