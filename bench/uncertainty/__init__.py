"""Uncertainty methods: networks of several members, trained from one architecture and recipe."""
