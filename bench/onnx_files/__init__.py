"""ONNX files from outside: read, checked, bounded, run."""
