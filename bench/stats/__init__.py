"""Intervals, tests, and the scale: change, gap, harm."""
