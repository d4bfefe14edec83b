"""Metrics of Lipschitz constants: how strongly a network reacts to its input."""
