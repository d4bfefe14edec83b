"""How strongly it reacts to its input."""
