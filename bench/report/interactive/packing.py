"""Data as text that a page can hold: compact JSON, deflated, in base64."""

from __future__ import annotations

import base64
import json
import math
import zlib
from typing import Any, Final

DIGITS: Final = 6  # significant ones of every number; results.json holds them whole


def packed(data: Any) -> str:
    """Compact JSON, deflated (RFC 1950), in base64; numbers to six significant digits, null where not finite.

    >>> unpacked(packed({"gap": [0.123456789, float("inf")]}))
    {'gap': [0.123457, None]}
    """
    text = json.dumps(rounded(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> Any:
    """What ``packed`` was given, rounded."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def rounded(thing: Any) -> Any:
    """The same data with six significant digits of each number.

    >>> rounded([1234567.8, 2.0, 3, True, "a"])
    [1234570.0, 2, 3, True, 'a']
    """
    if isinstance(thing, dict):
        return {key: rounded(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [rounded(value) for value in thing]
    if isinstance(thing, float):
        if not math.isfinite(thing):
            return None
        short = float(f"{thing:.{DIGITS}g}")
        return int(short) if short == int(short) and abs(short) < 1e6 else short
    return thing
