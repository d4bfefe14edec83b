"""crbench: is a compressed network still the same function where trust matters?"""

__version__ = "0.1.0"
