"""The ONNX project's backend tests, which the ``onnx`` package brings along, run through the import.

``python -m bench.onnx_import.conformance`` prints what passes as JSON.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from bench.errors import UserError
from bench.onnx_import.module import import_onnx
from bench.onnx_import.table import lookup
from bench.onnx_import.values import TORCH_TYPES, to_tensor

KINDS = ("node", "pytorch-converted", "pytorch-operator", "simple")


@dataclass(frozen=True, eq=False)
class CaseResult:
    """The result of one case: ``passed``, ``failed`` with the reason, or ``out`` of scope by a rule."""

    name: str  # as kind/test_name
    status: str
    reason: str = ""


def cases(kind: str) -> list[Any]:
    """The cases of one kind, generated or read by the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators divide by zero on purpose
        return sorted(load_model_tests(kind=kind), key=lambda case: case.name)


def case_results(kinds: Iterable[str] = KINDS) -> Iterator[CaseResult]:
    """Every case of the kinds, run if it is in scope."""
    for kind in kinds:
        for case in cases(kind):
            yield run_case(f"{kind}/{case.name}", case)


def run_case(name: str, case: Any) -> CaseResult:
    """Run one case with its own tolerances."""
    model, sets = _loaded(case)
    reason = out_of_scope(model)
    if reason:
        return CaseResult(name, "out", reason)
    try:
        for inputs, expected in sets:
            _check(model, inputs, expected, case)
    except UserError as error:
        if "depends on the values of the input" in str(error):
            return CaseResult(name, "out", "control flow on the input's values")
        return CaseResult(name, "failed", str(error))
    except AssertionError as error:
        return CaseResult(name, "failed", " ".join(str(error).split())[:200])
    return CaseResult(name, "passed")


def _loaded(case: Any) -> tuple[ModelProto, list[Any]]:
    if case.model is not None:
        return case.model, case.data_sets
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        inputs = [_stored(data / f"input_{i}.pb") for i in range(len(list(data.glob("input_*.pb"))))]
        expected = [_stored(data / f"output_{i}.pb") for i in range(len(list(data.glob("output_*.pb"))))]
        sets.append((inputs, expected))
    return model, sets


def _stored(path: Path) -> TensorProto:
    tensor = TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return tensor


def _check(model: ModelProto, inputs: list[Any], expected: list[Any], case: Any) -> None:
    module = import_onnx(model)
    held = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input]
    if len(inputs) < len(names):
        names = [name for name in names if name not in held]
    given = {name: to_tensor(_array(value)) for name, value in zip(names, inputs, strict=True)}
    outputs = [value.name for value in model.graph.output]
    with torch.no_grad():
        made = module.values(given, outputs)
    for output, value in zip(outputs, expected, strict=True):
        _same(_numbers(made[output]), _array(value), case.rtol, case.atol)


def _array(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(numpy_helper.to_array(value) if isinstance(value, TensorProto) else value)


def _numbers(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    if tensor.dtype == torch.bfloat16:
        proto = numpy_helper.from_array(tensor.float().numpy())
        rounded: np.ndarray[Any, Any] = numpy_helper.to_array(proto)
        return rounded.astype(onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
    numbers: np.ndarray[Any, Any] = tensor.numpy()
    return numbers


def _same(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], rtol: float, atol: float) -> None:
    assert actual.shape == expected.shape, f"shape {actual.shape} instead of {expected.shape}"
    assert actual.dtype == expected.dtype, f"{actual.dtype} instead of {expected.dtype}"
    if actual.dtype.name == "bfloat16":
        actual, expected, rtol = actual.astype(np.float32), expected.astype(np.float32), max(rtol, 2**-6)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def out_of_scope(model: ModelProto) -> str:
    """The rule that leaves a case out, "" where none does."""
    opsets = {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}
    local = {(function.domain, function.name) for function in model.functions}
    everything = [*_nodes(model.graph), *(node for function in model.functions for node in function.node)]
    for node in everything:
        opset = opsets.get("" if node.domain == "ai.onnx" else node.domain, 1)
        if (node.domain, node.op_type) not in local and lookup(node.domain, node.op_type, opset) is None:
            return f"operator {node.domain + '.' if node.domain else ''}{node.op_type} is not listed"
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            return "sequences and optional values"
    types = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    types |= {kind for node in everything for kind in _types(node)}
    strange = sorted(TensorProto.DataType.Name(kind) for kind in types - TORCH_TYPES.keys() - {0})
    if strange:
        return f"element type {strange[0]}"
    if any(_trains(node, model.graph) for node in everything):
        return "training mode"
    return ""


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for entry in node.attribute:
            for inner in (*entry.graphs, entry.g):
                yield from _nodes(inner)


def _types(node: NodeProto) -> Iterator[int]:
    for entry in node.attribute:
        if entry.type == AttributeProto.TENSOR:
            yield entry.t.data_type
        if entry.name in ("to", "dtype", "output_dtype") and entry.type == AttributeProto.INT:
            yield entry.i


def _trains(node: NodeProto, graph: GraphProto) -> bool:
    if node.op_type == "Dropout":
        return len(node.input) > 2  # the cases of training give it as an input
    if node.op_type != "BatchNormalization":
        return False
    return any(entry.name == "training_mode" and entry.i for entry in node.attribute)


def summary() -> dict[str, Any]:
    """Counts, what passed, and what is left out by which rule."""
    results = list(case_results())
    passed = sorted(outcome.name for outcome in results if outcome.status == "passed")
    failed = {outcome.name: outcome.reason for outcome in results if outcome.status == "failed"}
    left_out = {outcome.name: outcome.reason for outcome in results if outcome.status == "out"}
    counts = {"passed": len(passed), "in_scope": len(passed) + len(failed), "all": len(results)}
    return {"onnx": onnx.__version__, "counts": counts, "failed": failed, "left_out": left_out, "passed": passed}


if __name__ == "__main__":
    print(json.dumps(summary(), indent=1, sort_keys=True))
