"""Attacks that a set may hold: one file each."""
