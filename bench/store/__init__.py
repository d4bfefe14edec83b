"""Content-addressed objects on any fsspec file system."""
