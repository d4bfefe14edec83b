"""Attacks: inputs near a sample that a network gets wrong."""
