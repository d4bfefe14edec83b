"""Reference networks, their training, and outside networks."""
