"""Metrics of cost: what a network takes to store and to run."""
