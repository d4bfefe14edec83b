"""Natural corruptions of images, each with a continuous strength: one a file, all in the registry ``corruptions``."""
