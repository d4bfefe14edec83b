"""What a user declares, checked, and expanded to a plan."""
