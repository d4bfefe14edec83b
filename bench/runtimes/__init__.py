"""Targets: where networks run."""
