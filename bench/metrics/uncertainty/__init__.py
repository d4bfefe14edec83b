"""Metrics of uncertainty: how sure a network is, and whether rightly."""
