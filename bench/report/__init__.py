"""Reports from results alone: the leaderboard and one pair in a terminal or HTML; judgements in every format."""
