"""Whether a shown text is a rounding of a number: by the text alone, with nothing of the code that printed it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SUFFIXES = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1.0, "G": 1e9, "M": 1e6, "k": 1e3}
TOKEN = re.compile(
    r"(?:(?P<side>≤|≥|<|>|about|at least|at most) )?(?<![\w.])"
    r"(?P<number>[+-]?\d+(?:\.(?P<places>\d+))?(?:e(?P<power>-?\d+))?)"
    r"(?: (?P<suffix>GB|MB|kB|B|G|M|k)(?![\w/]))?(?![\w])"
)
SIGNS = re.compile(r"[✗▲▼!](?= |$)|(?<= )\?(?= |$)|×|∅|↷")
SLACK = 1e-9


@dataclass(frozen=True)
class Token:
    """One number as it is printed."""

    text: str
    side: str
    number: float
    unit: float  # of the last printed digit
    suffix: str

    def agrees(self, number: float, factor: float) -> bool:
        """Half a unit of the last digit; a limit lies on the safe side of the number, less than a unit away."""
        told = number * factor
        slack = SLACK * max(abs(told), self.unit)
        if self.side in ("≤", "at most"):
            return told - slack <= self.number < told + self._step(told) + slack
        if self.side in ("≥", "at least"):
            return told - self._step(told) - slack < self.number <= told + slack
        return abs(self.number - told) <= self.unit / 2 + slack

    def agrees_with_one_of(self, kept: Sequence[float], factor: float) -> bool:
        """As ``agrees``, with any of many numbers; whole numbers may be rounded to three digits, charts' to four."""
        told = np.asarray(kept, float) * (factor / SUFFIXES.get(self.suffix, 1.0))
        size = 0.0 if self.number == 0 else 10.0 ** (math.floor(math.log10(abs(self.number))) - (1 if self.side else 2))
        unit = max(self.unit, size if "." not in self.text else 0.0)
        reach = unit * (1.0 if self.side else 0.5) + 5.1e-6 * np.abs(told)  # six digits are behind a chart
        return bool((np.abs(told - self.number) <= reach).any())

    def _step(self, told: float) -> float:
        if told == 0:
            return 0.0
        coarse = 10.0 ** (math.floor(math.log10(abs(told))) - 1)  # limits have two digits at least
        return max(self.unit, coarse) if "." not in self.text else self.unit


def tokens(text: str, *words: str) -> list[Token]:
    """Every number of a text; ``words`` are left out: units and names that hold digits."""
    for word in sorted(filter(None, words), key=len, reverse=True):
        text = text.replace(f" {word}", " ")
    text = SIGNS.sub(" ", re.sub(r"\(n = \d+\)", "", text))
    found = []
    for match in TOKEN.finditer(text):
        power = int(match["power"] or 0)
        unit = 10.0 ** (power - len(match["places"] or ""))
        found.append(Token(match[0], match["side"] or "", float(match["number"]), unit, match["suffix"] or ""))
    return found


def percent(text: str) -> float:
    """By what a number was multiplied before it was printed."""
    return 100.0 if re.search(r"\d ?(%|points)", text) else 1.0


def faults(text: str, wanted: Sequence[float], *words: str) -> str:
    """Nothing where the numbers of a text are the wanted ones, in their order; else what is wrong."""
    found = tokens(text, *words)
    if len(found) != len(wanted):
        return f"{text!r} shows {[item.text for item in found]}, wanted {list(wanted)}"
    for place, (token, number) in enumerate(zip(found, wanted, strict=True)):
        suffix = token.suffix or next((item.suffix for item in found[place:] if item.suffix), "")
        if not token.agrees(number, percent(text) / SUFFIXES.get(suffix, 1.0)):
            return f"{text!r}: {token.text} is no rounding of {number}"
    if any("+" in token.text and number <= 0 for token, number in zip(found, wanted, strict=True)):
        return f"{text!r}: + of a number that is not above 0"
    return ""


def numbers_in(thing: Any) -> list[float]:
    """Every finite number in nested data."""
    if isinstance(thing, dict):
        return [number for item in thing.values() for number in numbers_in(item)]
    if isinstance(thing, list | tuple):
        return [number for item in thing for number in numbers_in(item)]
    known = isinstance(thing, int | float) and not isinstance(thing, bool) and math.isfinite(thing)
    return [float(thing)] if known else []
