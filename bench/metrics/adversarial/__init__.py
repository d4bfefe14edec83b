"""How it withstands attacks."""
