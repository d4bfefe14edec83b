"""Suites: what a user declares, checked and expanded to a plan of networks, cells and observations."""
