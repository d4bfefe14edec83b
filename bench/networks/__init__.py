"""Networks and their declared input, and torch modules of any making taken in as such."""
