"""Reads ONNX files as folding graphs, and writes the folded files."""
