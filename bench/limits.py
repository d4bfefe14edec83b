"""Limits on what a file may ask for before work begins; each is raised by an environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.errors import UserError


@dataclass(frozen=True)
class Limit:
    """The most that is taken of something, unless an environment variable says otherwise."""

    variable: str
    default: int
    unit: str

    @property
    def most(self) -> int:
        """The largest number that is allowed.

        Raises:
            UserError: the variable holds something other than a whole number.
        """
        given = os.environ.get(self.variable, "").strip()
        if not given:
            return self.default
        if not (given.isascii() and given.isdigit() and len(given) < 30):
            raise UserError.at(self.variable, f"{given[:40]!r} is no whole number", f"by default {self.default}")
        return int(given)

    @property
    def advice(self) -> str:
        """The advice that says how to raise the limit."""
        return f"{self.variable} raises it"

    def exceeded(self, given: float, what: str = "") -> str:
        """The number that is too large, in words.

        >>> SUITE_STEPS.exceeded(1000)
        '1000 steps, more than 100'
        """
        number = f"{given:.3g}" if given > 1e15 else f"{int(given)}"
        return f"{what}{number} {self.unit}, more than {self.most}"

    def check(self, given: float, where: str, what: str = "") -> None:
        """Raise ``UserError`` where it is more than the limit.

        >>> SUITE_STEPS.check(1000, "variant[0].steps")
        Traceback (most recent call last):
        ...
        bench.errors.UserError: variant[0].steps: 1000 steps, more than 100; CRBENCH_MAX_STEPS raises it
        """
        if given > self.most:
            raise UserError.at(where, self.exceeded(given, what), self.advice)


UNPACKED = Limit("CRBENCH_MAX_UNPACKED_BYTES", 2**30, "bytes")
CLASSES = Limit("CRBENCH_MAX_CLASSES", 100_000, "classes")
ONNX_ELEMENTS = Limit("CRBENCH_MAX_ONNX_ELEMENTS", 2**27, "elements")
ONNX_VECTOR = Limit("CRBENCH_MAX_ONNX_VECTOR", 2**22, "elements along one axis")
ONNX_NODES = Limit("CRBENCH_MAX_ONNX_NODES", 200_000, "nodes")
ONNX_DEPTH = Limit("CRBENCH_MAX_ONNX_DEPTH", 32, "levels of functions and graphs inside nodes")
LOOP_ROUNDS = Limit("CRBENCH_MAX_LOOP_ROUNDS", 10_000, "rounds")
LOOP_SECONDS = Limit("CRBENCH_MAX_LOOP_SECONDS", 600, "seconds")
SUITE_BYTES = Limit("CRBENCH_MAX_SUITE_BYTES", 1_000_000, "bytes")
SUITE_DIGITS = Limit("CRBENCH_MAX_SUITE_DIGITS", 40, "digits")
SUITE_DEPTH = Limit("CRBENCH_MAX_SUITE_DEPTH", 32, "levels")
SUITE_FILES = Limit("CRBENCH_MAX_SUITE_FILES", 32, "files that extend each other")
SUITE_STEPS = Limit("CRBENCH_MAX_STEPS", 100, "steps")
SUITE_MATRIX = Limit("CRBENCH_MAX_MATRIX", 1000, "combinations")
SUITE_CELLS = Limit("CRBENCH_MAX_CELLS", 100_000, "cells")
SUITE_YARDSTICKS = Limit("CRBENCH_MAX_YARDSTICKS", 1000, "networks")
