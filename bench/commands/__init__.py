"""Commands of the command line that have a module of their own; nothing heavy is imported before one runs."""
