"""Metrics of attacks: how a network withstands them."""
