"""The mathematics: arrays or modules in, numbers out."""
