"""How often simulations are repeated: CI runs a short form, ``CRBENCH_LONG_SIMULATIONS=1`` the long one.

Of 400 intervals promised to cover 95 %, the tests' limit (``at_least``) refuses a true coverage of 90 % nine times in
ten; of 800, one of 92 %. Both are seeded: what passes once fails only where the code has changed.
"""

import os

LONG = bool(os.environ.get("CRBENCH_LONG_SIMULATIONS"))  # read before the tests' settings are taken away


def trials(long: int, short: int) -> int:
    return long if LONG else short
