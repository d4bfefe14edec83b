"""Parts of pruning: groups of coupled channels, their importance, how many of them are removed."""
