"""Does it still predict the same."""
