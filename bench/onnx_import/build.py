"""Builds the steps of a model: inlines functions, looks up handlers, folds constants, takes branches that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx.inliner
import torch
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, defs

from bench.errors import Problem, UserError
from bench.onnx_import.execution import run_step
from bench.onnx_import.parse import ExecutableGraph, ExecutionStep, initialisers, ordered, plain_attribute
from bench.onnx_import.rounding import Rounding
from bench.onnx_import.saturation import Summing
from bench.onnx_import.table import OnnxNode, lookup
from bench.onnx_import.values import Value

LISTED = "the operators that can be imported are listed in docs/onnx-operators.md"
_SHAPES = ("Shape", "Size")


def parse_model(model: ModelProto, rounding: Rounding, summing: Summing) -> ExecutableGraph:
    """Read a model into a graph.

    Raises:
        UserError: operators that cannot be imported (all at once, each with node, operator and opset), a value that
            nothing makes (a cycle, or a missing initialiser), a name that two nodes make, control flow that depends
            on the input's values, or data that does not fit its declaration.
    """
    try:
        if model.functions:
            model = _inlined(model)
        opsets = {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}
        if opsets.get("", 1) > defs.onnx_opset_version():
            what = f"opset {opsets['']} is not known here"
            raise UserError.at("onnx", what, f"export with opset {defs.onnx_opset_version()} or lower")
        graph = build(model.graph, opsets, rounding, summing, frozenset())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError.at("onnx", f"the file cannot be read: {line}", "export it anew") from error
    check_control_flow(graph.steps, set(graph.inputs))
    return graph


def _inlined(model: ModelProto) -> ModelProto:
    """The model with its local functions in place; ``ValueError`` where one leads to itself."""
    calls = {(function.domain, function.name): _called(function) for function in model.functions}
    while calls:
        free = {key for key, called in calls.items() if not called & calls.keys()}
        if not free:
            raise ValueError(f"function {'.'.join(sorted(calls)[0])} leads to itself")
        calls = {key: called for key, called in calls.items() if key not in free}
    try:
        return onnx.inliner.inline_local_functions(model)
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def _called(function: FunctionProto) -> set[tuple[str, str]]:
    waiting: list[Iterable[NodeProto]] = [function.node]
    called = set()
    while waiting:
        for node in waiting.pop():
            called.add((node.domain, node.op_type))
            waiting += [graph.node for entry in node.attribute for graph in (*entry.graphs, entry.g)]
    return called


@dataclass(eq=False)
class _Building:
    """A graph while it is built, node after node."""

    opsets: Mapping[str, int]
    rounding: Rounding
    summing: Summing
    visible: set[str]
    constants: dict[str, Value]
    folded: list[ExecutionStep] = field(default_factory=list)
    steps: list[ExecutionStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, proto: NodeProto) -> None:
        """Add one more node."""
        node = self._node(proto)
        entry = lookup(node.domain, node.operator, node.opset)
        if entry is None:
            self.problems.append(Problem("onnx", f"{node} cannot be imported", LISTED))
            return
        node = self._hoisted(node)
        graphs = _graphs(node)
        captures = tuple(sorted(set().union(*(_reads(graph) for graph in graphs)))) if graphs else None
        self._take(ExecutionStep(node, entry, (), captures))
        self.visible.update(node.outputs)

    def _node(self, proto: NodeProto) -> OnnxNode:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        return OnnxNode(
            name=proto.name,
            operator=proto.op_type,
            domain=domain,
            opset=self.opsets.get(domain, 1),
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes={entry.name: self._attribute(entry) for entry in proto.attribute},
            rounding=self.rounding,
            summing=self.summing,
        )

    def _attribute(self, entry: AttributeProto) -> Any:
        if entry.type == AttributeProto.GRAPH:
            return build(entry.g, self.opsets, self.rounding, self.summing, frozenset(self.visible))
        return plain_attribute(entry)

    def _hoisted(self, node: OnnxNode) -> OnnxNode:
        """The constants of a node's graphs move outside, so that they belong to the module."""
        attributes = dict(node.attributes)
        for name, graph in node.attributes.items():
            if isinstance(graph, ExecutableGraph) and not graph.constants.keys() & self.visible:
                self.constants |= graph.constants
                self.visible |= graph.constants.keys()
                attributes[name] = replace(graph, constants={})
        return replace(node, attributes=attributes)

    def _take(self, step: ExecutionStep) -> None:
        """Fold a step, take the branch that is known, or keep the step for every pass."""
        node = step.node
        known = all(name in self.constants for name in node.inputs if name)
        if node.operator == "If" and node.domain == "" and known:
            graph: ExecutableGraph = node.get("then_branch" if _true(self.constants[node.inputs[0]]) else "else_branch")
            made = {name for inner in graph.steps for name in inner.node.outputs if name}
            if not made & self.visible and not graph.constants:
                self.visible |= made
                self.folded += graph.folded
                for inner in graph.steps:
                    self._take(inner)
                for source, target in zip(graph.outputs, node.outputs, strict=False):
                    self._alias(node, source, target)
                return
        if known and step.captures is None and self._fold(step):
            return
        self.steps.append(step)

    def _alias(self, node: OnnxNode, source: str, target: str) -> None:
        if not target:
            return
        alias = replace(node, operator="Identity", inputs=(source,), outputs=(target,), attributes={})
        entry = lookup("", "Identity", node.opset)
        assert entry is not None
        self._take(ExecutionStep(alias, entry))

    def _fold(self, step: ExecutionStep) -> bool:
        """Compute a step on constants once; one that fails is left to fail when it runs."""
        try:
            with torch.no_grad():
                made = run_step(step, self.constants)
        except UserError:
            return False
        self.constants |= {name: value for name, value in zip(step.node.outputs, made, strict=False) if name}
        self.folded.append(step)
        return True


def _true(value: Value) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ValueError("a condition must be one truth value")
    return bool(value)


def build(
    graph: GraphProto, opsets: Mapping[str, int], rounding: Rounding, summing: Summing, outer: frozenset[str]
) -> ExecutableGraph:
    """A graph, or one inside a node that sees the names of ``outer``."""
    constants = initialisers(graph)
    declared = [value for value in graph.input if value.name not in constants]
    inputs = tuple(value.name for value in declared)
    if len(set(inputs)) < len(inputs):
        raise UserError.at("onnx", "two inputs have one name", "export it anew")
    known = outer | set(inputs) | set(constants)
    building = _Building(opsets, rounding, summing, set(known), constants)
    for proto in ordered(graph, known):
        building.add(proto)
    if building.problems:
        raise UserError(building.problems)
    outputs = tuple(value.name for value in graph.output)
    lacking = [name for name in outputs if name not in building.visible]
    if lacking:
        raise UserError.at("onnx", f"no node makes the output {lacking[0]!r}", "export it anew")
    types = {value.name: value.type.tensor_type.elem_type for value in declared}
    steps = _with_frees(building.steps, frozenset(outputs) | outer | frozenset(building.constants))
    return ExecutableGraph(inputs, outputs, building.constants, steps, tuple(building.folded), types)


def _with_frees(steps: list[ExecutionStep], kept: frozenset[str]) -> tuple[ExecutionStep, ...]:
    """Note after which step each value may go."""
    seen: set[str] = set(kept)
    out: list[ExecutionStep] = []
    for step in reversed(steps):
        used = {name for name in (*step.node.inputs, *step.node.outputs, *(step.captures or ())) if name}
        out.append(replace(step, frees=tuple(sorted(used - seen))))
        seen |= used
    return tuple(reversed(out))


def _graphs(node: OnnxNode) -> list[ExecutableGraph]:
    return [value for value in node.attributes.values() if isinstance(value, ExecutableGraph)]


def _reads(graph: ExecutableGraph) -> set[str]:
    """The values that a graph inside a node may read from outside; its own names among them do no harm."""
    names = set(graph.outputs)
    for step in graph.steps:
        names |= {*step.node.inputs, *(step.captures or ())}
    return names - {""} - set(graph.inputs)


def check_control_flow(steps: Iterable[ExecutionStep], varying: set[str]) -> set[str]:
    """The names whose values vary with ``varying``; shapes do not.

    Raises:
        UserError: which nodes run, or how often, would vary too: such a graph is no single function to differentiate.
    """
    for step in steps:
        node = step.node
        read = {*node.inputs, *(step.captures or ())} & varying
        if node.operator == "If" and node.domain == "":
            _refuse(node, node.inputs[:1], varying)
            for graph in _graphs(node):
                read |= check_control_flow(graph.steps, set(varying)) & set(graph.outputs)
        if node.operator == "Loop" and node.domain == "":
            _refuse(node, node.inputs[:2], varying)
            body: ExecutableGraph = node.get("body")
            inside = set(varying) | (set(body.inputs[2:]) if read else set())
            _refuse(node, body.outputs[:1], check_control_flow(body.steps, inside))
        if read and not (node.operator in _SHAPES and node.domain == ""):
            varying |= {name for name in node.outputs if name}
    return varying


def _refuse(node: OnnxNode, conditions: Iterable[str], varying: set[str]) -> None:
    if set(conditions) & varying:
        what = f"{node}: what it runs depends on the values of the input"
        raise UserError.at("onnx", what, "export the network with the branch that inference takes")
