"""Upper bounds of networks in canonical form, chains or not: convolutions, skips, pools."""
