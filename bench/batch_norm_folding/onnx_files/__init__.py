"""ONNX files as the graph that folding looks at, and folded files written out of them."""
