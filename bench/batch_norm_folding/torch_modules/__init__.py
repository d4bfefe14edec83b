"""Reads torch modules as folding graphs, and writes new weights into them."""
