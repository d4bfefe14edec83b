"""The parts of the steps of ONNX Runtime: their frame, and rounding to four bits."""
