"""Sources of samples out of distribution, one a file."""
