"""Lipschitz constants: certified upper bounds, valid lower bounds, estimates; usable without the rest."""
