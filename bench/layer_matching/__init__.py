"""Divides ONNX graphs into layers, and matches the layers of two graphs."""

from bench.layer_matching.alignment import LayerPair, align
from bench.layer_matching.layers import OUTPUT, Layer, LayerGraph, read_layers
from bench.layer_matching.pieces import piece, replaceable
from bench.layer_matching.qdq_form import in_qdq_form
from bench.layer_matching.weights import WeightValue, weight_value

__all__ = [
    "OUTPUT",
    "Layer",
    "LayerGraph",
    "LayerPair",
    "WeightValue",
    "align",
    "in_qdq_form",
    "piece",
    "read_layers",
    "replaceable",
    "weight_value",
]
