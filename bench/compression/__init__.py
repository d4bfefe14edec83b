"""Steps: one transformation a file; the sub-packages hold what they are made of."""
