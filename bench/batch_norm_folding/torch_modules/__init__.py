"""Torch modules as the graph that folding looks at, and weights put back into them."""
