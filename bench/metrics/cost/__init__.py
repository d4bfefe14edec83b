"""What it costs to store and to run."""
