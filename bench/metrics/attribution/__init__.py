"""Which pixels it looks at."""
