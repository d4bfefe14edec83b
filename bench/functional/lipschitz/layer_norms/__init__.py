"""Norms of one layer: certified upper ends, and lower ends found on the true operator."""
