"""The published list is the table's."""

from __future__ import annotations

from pathlib import Path

from onnx import defs

from bench.onnx_import.listing import NOTES, tables
from bench.onnx_import.table import supported

PAGE = Path(__file__).parents[2] / "docs" / "onnx-operators.md"
NEEDED = [
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Einsum",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "LRN",
    "LpNormalization",
    "MeanVarianceNormalization",
    "MaxPool",
    "AveragePool",
    "LpPool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Tanh",
    "Softplus",
    "Softsign",
    "Mish",
    "ThresholdedRelu",
    "Clip",
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    "Where",
    "Min",
    "Max",
    "Sum",
    "Mean",
    "Pow",
    "Sqrt",
    "Exp",
    "Log",
    "Erf",
    "Abs",
    "Neg",
    "Sign",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Round",
    "Mod",
    "ArgMax",
    "ArgMin",
    "TopK",
    "CumSum",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "GatherElements",
    "GatherND",
    "ScatterND",
    "ScatterElements",
    "Expand",
    "Tile",
    "Pad",
    "Identity",
    "Dropout",
    "Cast",
    "CastLike",
    "Shape",
    "Size",
    "Constant",
    "ConstantOfShape",
    "Range",
    "OneHot",
    "Trilu",
    "Resize",
    "Upsample",
    "DepthToSpace",
    "SpaceToDepth",
    "Attention",
    "If",
    "Loop",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
]


def test_page_holds_the_table():
    renew = "renew the tables: python -m bench.onnx_import.listing"
    assert PAGE.read_text(encoding="utf-8").endswith(tables()), renew


def test_operators_of_classifiers_are_served():
    assert sorted(set(NEEDED) - {name for domain, name, _ in supported() if domain == ""}) == []


def test_operators_and_notes_are_real():
    real = {(schema.domain, schema.name) for schema in defs.get_all_schemas_with_history()}
    served = {(domain, name) for domain, name, _ in supported()}
    assert {key for key in served if key[0] == ""} <= real
    assert NOTES.keys() <= served
