"""What ``onnx-export`` is made of: torch's exporters, and checks of the file against the network."""
