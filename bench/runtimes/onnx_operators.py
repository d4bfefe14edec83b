"""The operators of an ONNX file, and those that ONNX Runtime makes of them on a target."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import onnx

from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_session import saved

DYNAMIC: Final = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
INTEGER: Final = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"}
    | (DYNAMIC - {"DynamicQuantizeLinear"})  # which only quantises
)


def operators(model: bytes) -> dict[str, int]:
    """Counts of each operator in an ONNX file, by name; bodies of branches, loops and functions count too."""

    def walk(nodes: Any) -> Any:
        for node in nodes:
            yield node.op_type
            for attribute in node.attribute:
                for graph in (attribute.g, *attribute.graphs):
                    yield from walk(graph.node)

    loaded = onnx.load_model_from_string(model)
    counts = Counter(walk(loaded.graph.node))
    for function in loaded.functions:
        counts.update(walk(function.node))
    return dict(sorted(counts.items()))


def optimised_operators(network: OnnxNetwork, target: Target) -> dict[str, int]:
    """Counts of each operator in the graph that ONNX Runtime really runs on this target and machine."""
    return operators(saved(network.model, target, "ONNX"))


def integer_kernels(counts: dict[str, int]) -> int:
    """The number of convolutions and matrix products of a graph that run on integers.

    >>> integer_kernels({"QLinearConv": 2, "QGemm": 1, "FusedConv": 1, "QuantizeLinear": 4})
    3
    """
    return sum(count for name, count in counts.items() if name in INTEGER)
