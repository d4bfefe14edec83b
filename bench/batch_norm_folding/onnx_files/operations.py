"""Operators without weights: sums, concatenations, averages, padding, reshaping; False where one is a barrier."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from bench.batch_norm_folding.formulas import Linear
from bench.batch_norm_folding.onnx_files.constants import attributes
from bench.batch_norm_folding.onnx_files.draft import CONSTANT
from bench.batch_norm_folding.structure import FoldingNode, Role

if TYPE_CHECKING:
    from bench.batch_norm_folding.onnx_files.draft import Draft


def add(draft: Draft, index: int, node: NodeProto) -> bool:
    """A sum of values of one shape; a constant for each channel is a value with a layer of its own."""
    inputs = [name for name in node.input if draft.constants.depends(name)]
    output = node.output[0]
    sizes = {draft.shapes.get(name) for name in (*inputs, output)}
    if len(sizes) != 1 or None in sizes or None in (sizes.copy().pop() or ()) or output not in draft.channels:
        return False
    if len(inputs) == 1 and len(node.input) == 2:
        value = draft.per_channel(node, inputs[0], draft.channels[output])
        if value is None:
            return False
        name = f"{CONSTANT}{draft.names[index]}"
        label = f"the constant that {draft.names[index]} adds"
        draft.nodes.append(FoldingNode(name, Role.LAYER, (), (name,), label))
        draft.made.weights[name] = Linear(np.zeros((len(value), 0)), value)
        draft.made.positions[name] = (index,)
        draft.channels[name] = len(value)
        inputs = [inputs[0], name]
    elif len(inputs) != len(node.input):
        return False
    label = f"{draft.names[index]} ({node.op_type})"
    draft.nodes.append(FoldingNode(draft.names[index], Role.ADD, tuple(inputs), (output,), label))
    return True


def concatenation(draft: Draft, index: int, node: NodeProto) -> bool:
    """The rule of ``Concat`` along the channels."""
    rank = len(draft.shapes.get(node.output[0], ()))
    along = rank and attributes(node).get("axis", 1) % rank == 1
    known = all(name in draft.channels and draft.constants.depends(name) for name in node.input)
    if not (along and known):
        return False
    draft.channels[node.output[0]] = sum(draft.channels[name] for name in node.input)
    return draft.append(index, node, Role.CONCAT)


def average(draft: Draft, index: int, node: NodeProto) -> bool:
    """The rule of ``AveragePool``."""
    settings = attributes(node)
    padded = settings.get("auto_pad", b"NOTSET").startswith(b"SAME") or any(settings.get("pads", ()))
    return same(draft, index, node, zero_padded=bool(padded and settings.get("count_include_pad", 0)))


def same(draft: Draft, index: int, node: NodeProto, **more: Any) -> bool:
    """Operators that pass a map of channels on unchanged."""
    if node.input[0] in draft.channels:
        draft.channels.setdefault(node.output[0], draft.channels[node.input[0]])
    return draft.append(index, node, Role.PASS, **more)


def mean(draft: Draft, index: int, node: NodeProto) -> bool:
    """The rule of ``ReduceMean`` over positions."""
    settings, rank = attributes(node), len(draft.shapes.get(node.input[0], ()))
    axes = settings.get("axes")
    if axes is None and len(node.input) > 1:
        axes = draft.constants(node.input[1])
    if axes is None or not rank or any(int(axis) % rank < 2 for axis in axes) or not len(axes):
        return False
    return same(draft, index, node)


def pad(draft: Draft, index: int, node: NodeProto) -> bool:
    """``Pad`` of positions, by zeros or by what is there."""
    settings = attributes(node)
    mode = settings.get("mode", b"constant").decode()
    sizes = settings.get("pads", settings.get("paddings"))
    if sizes is None and len(node.input) > 1:
        sizes = draft.constants(node.input[1])
    value = settings.get("value", 0.0)
    if len(node.input) > 2 and node.input[2]:
        given = draft.constants(node.input[2])
        value = math.nan if given is None else float(given.reshape(-1)[0])
    listed = [] if sizes is None else [int(size) for size in sizes]
    half = len(listed) // 2
    if len(node.input) > 3 or half < 3 or any((*listed[:2], *listed[half : half + 2])):
        return False
    if mode not in ("constant", "reflect", "edge") or (mode == "constant" and value != 0):
        return False
    return same(draft, index, node, zero_padded=mode == "constant")


def dropout(draft: Draft, index: int, node: NodeProto) -> bool:
    """The rule of ``Dropout`` that does nothing."""
    training = draft.constants(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    asked = len(node.input) > 2 and bool(node.input[2])
    idle = not asked or (training is not None and not training.any())
    if not idle or (draft.opset < 7 and not attributes(node).get("is_test", 0)):
        return False
    if any(draft.readers[name] or name in draft.outputs for name in node.output[1:]):
        return False
    return same(draft, index, node)


def reshape(draft: Draft, index: int, node: NodeProto) -> bool:
    """(batch, channels, ...) as (batch, features), or with positions of size 1 dropped or added."""
    before, now = draft.shapes.get(node.input[0], ()), draft.shapes.get(node.output[0], ())
    sizes = [size for size in before[2:] if isinstance(size, int)]
    if len(before) < 2 or len(now) < 2 or len(sizes) != len(before) - 2 or not isinstance(before[1], int):
        return False
    repeat = math.prod(sizes)
    if now[1] == before[1] and all(isinstance(size, int) for size in now[2:]):
        return math.prod(int(size or 0) for size in now[2:]) == repeat and draft.append(index, node, Role.PASS)
    if len(now) == 2 and now[1] == before[1] * repeat:
        return draft.append(index, node, Role.PASS, repeat=repeat)
    return False
