"""Terminal, HTML and Markdown reports, from results alone."""
