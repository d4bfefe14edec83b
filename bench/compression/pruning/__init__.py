"""What pruning is made of: which channels belong together, what they are worth, how many go."""
