"""Reference networks and their training."""
