"""Metrics of attribution: the pixels that a network looks at."""
