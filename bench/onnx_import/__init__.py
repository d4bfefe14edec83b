"""ONNX files as torch modules: the same graph, node by node, with input gradients."""

from bench.onnx_import.module import OnnxModule, import_onnx

__all__ = ["OnnxModule", "import_onnx"]
