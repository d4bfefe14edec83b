"""The parts of ``onnx-export``: torch's exporters, and checks of the file against the network."""
