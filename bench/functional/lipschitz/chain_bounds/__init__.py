"""Bounds on the Lipschitz constant of a chain of dense layers; each file holds one method."""
