"""The commands of the command line, a module for each subject; nothing heavy is imported before one runs."""
