"""What the steps of ONNX Runtime are made of: their frame, and rounding to four bits."""
