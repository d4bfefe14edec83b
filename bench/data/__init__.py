"""Images with stable ids and disjoint splits."""
