"""One handler an operator, in files by subject; importing them fills the table."""
