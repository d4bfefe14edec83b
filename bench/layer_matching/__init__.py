"""ONNX graphs as weighted layers, and which layer of one graph answers to which of another."""

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
