"""How sure it is, and whether rightly."""
