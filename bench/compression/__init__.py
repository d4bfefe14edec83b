"""Steps: one transformation a file."""
