"""Roles of torch's operations without weights in a folding graph: sums, concatenations, averages, flattening."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from bench.batch_norm_folding.structure import FoldingNode, Role
from bench.batch_norm_folding.torch_modules.tracing import Shapes, argument, as_node, as_tuple

ADDED = ("add", "add_", "__add__", "__iadd__")
SAME = ("contiguous", "clone", "detach", "to", "float", "double")


class Operations:
    """Reads one step after the other; a step that does more, or other, than a role can is a barrier."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes

    def module(self, node: fx.Node, child: nn.Module, label: str) -> FoldingNode:
        """Modules without weights that hand a map of channels on."""
        kind = type(child)
        handing = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
        adaptive = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
        mirrored = (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d)
        if kind in handing or ((kind in adaptive or kind in mirrored) and self.rank(node, 0) > 2):
            return as_node(node, Role.PASS, label)
        layer: Any = child
        if kind in (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d) and getattr(layer, "divisor_override", None) is None:
            padded = layer.count_include_pad and any(as_tuple(layer.padding))
            return as_node(node, Role.PASS, label, zero_padded=padded)
        if kind is nn.ZeroPad2d or (kind is nn.ConstantPad2d and layer.value == 0):
            return as_node(node, Role.PASS, label, zero_padded=True)
        if kind is nn.Flatten:
            return self._flattening(node, label)
        return as_node(node, Role.BARRIER, label)

    def function(self, node: fx.Node, name: str) -> FoldingNode:
        """Functions and methods: sums, concatenations, averages, flattening; a barrier otherwise."""
        target = node.target
        method = node.op == "call_method"
        if target in (operator.add, operator.iadd, torch.add) or (method and name in ADDED):
            return as_node(node, Role.ADD if self._plain_sum(node, name) else Role.BARRIER)
        if target in (torch.cat, torch.concat, torch.concatenate):
            axis = argument(node, 1, "dim", argument(node, 1, "axis", 0))
            inputs = argument(node, 0, "tensors", ())
            along = isinstance(axis, int) and axis % max(len(self.shapes.get(node.name, ())), 1) == 1
            made = as_node(node, Role.CONCAT if along and isinstance(inputs, (list, tuple)) else Role.BARRIER)
            return made if made.inputs and "tensors" not in node.kwargs else as_node(node, Role.BARRIER)
        if target in (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d):
            padded = any(as_tuple(argument(node, 3, "padding", 0))) and argument(node, 5, "count_include_pad", True)
            plain = argument(node, 6, "divisor_override", None) is None
            return as_node(node, Role.PASS if plain else Role.BARRIER, zero_padded=bool(padded))
        if target in (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d):
            return as_node(node, Role.PASS if self.rank(node, 0) > 2 else Role.BARRIER)
        if target is torch.mean or (method and name == "mean"):
            return self._mean(node)
        if target is functional.dropout or target is functional.dropout2d:
            idle = argument(node, 2, "training", True) is False
            return as_node(node, Role.PASS if idle else Role.BARRIER)
        if target is functional.pad:
            return self._pad(node)
        if target in (torch.flatten, torch.reshape, torch.squeeze) or (
            method and name in ("flatten", "reshape", "view", "squeeze")
        ):
            return self._flattening(node, node.name)
        if method and name in SAME:
            return as_node(node, Role.PASS)
        return as_node(node, Role.BARRIER)

    def _plain_sum(self, node: fx.Node, name: str) -> bool:
        """Whether two values of one shape are added, and neither is changed in place for other readers."""
        values: list[Any] = list(node.args)
        if len(values) != 2 or node.kwargs or not all(hasattr(value, "name") for value in values):
            return False
        in_place = node.target is operator.iadd or name in ("add_", "__iadd__")
        if in_place and len(values[0].users) > 1:
            return False
        sizes = {self.shapes.get(value.name) for value in values}
        return len(sizes) == 1 and None not in sizes and all(value.op != "get_attr" for value in values)

    def _mean(self, node: fx.Node) -> FoldingNode:
        rank = self.rank(node, 0)
        axes = argument(node, 1, "dim", None)
        listed = as_tuple(axes) if axes is not None else ()
        spatial = bool(listed) and all(isinstance(axis, int) and axis % rank > 1 for axis in listed)
        return as_node(node, Role.PASS if rank > 2 and spatial else Role.BARRIER)

    def _pad(self, node: fx.Node) -> FoldingNode:
        sizes = as_tuple(argument(node, 1, "pad", ()))
        mode, value = argument(node, 2, "mode", "constant"), argument(node, 3, "value", None)
        spatial = len(sizes) <= 2 * (self.rank(node, 0) - 2)
        zeros = mode == "constant" and value in (None, 0)
        fits = spatial and (zeros or mode in ("reflect", "replicate"))
        return as_node(node, Role.PASS if fits else Role.BARRIER, zero_padded=zeros)

    def _flattening(self, node: fx.Node, label: str) -> FoldingNode:
        """(batch, channels, ...) as (batch, features), or the same shape, or positions of size 1 dropped."""
        before, now = self.shape(node, 0), self.shapes.get(node.name, ())
        sizes_only = [value for value in node.all_input_nodes[1:] if value.name in self.shapes]
        if sizes_only or len(before) < 2 or len(now) < 2 or now[0] != before[0]:
            return as_node(node, Role.BARRIER, label)
        repeat = math.prod(before[2:])
        whole = FoldingNode(label, Role.PASS, (node.all_input_nodes[0].name,), (node.name,), label)
        if now == before or (now[1] == before[1] and math.prod(now[2:]) == repeat):
            return whole
        if len(now) == 2 and now[1] == before[1] * repeat:
            return FoldingNode(label, Role.PASS, whole.inputs, whole.outputs, label, repeat=repeat)
        return as_node(node, Role.BARRIER, label)

    def shape(self, node: fx.Node, position: int) -> tuple[int, ...]:
        """The shape of one of a step's inputs; () where it is not known."""
        inputs = node.all_input_nodes
        return self.shapes.get(inputs[position].name, ()) if len(inputs) > position else ()

    def rank(self, node: fx.Node, position: int) -> int:
        """The number of axes of one of a step's inputs."""
        return len(self.shape(node, position))
