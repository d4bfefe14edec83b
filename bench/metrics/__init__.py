"""One family a folder, one metric a file."""
