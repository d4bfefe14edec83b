"""Sums of products of 8-bit integers: exact ones, and those that saturate in 16 bits on some processors."""
