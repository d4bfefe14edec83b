"""Errors a user can act on: one line each, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 600  # characters of one part of a line


def shortened(text: str) -> str:
    r"""A text that fits a line: what is left out of a long one is counted, and line ends are spaces.

    >>> len(shortened("a" * 5000)), shortened("one\ntwo")
    (627, 'one two')
    """
    if "\n" in text or "\r" in text:
        text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 100]} ... ({len(text) - LONGEST} characters) ... {text[-100:]}"


def legible(text: str) -> str:
    r"""The text as UTF-8 can hold it: bytes of a path or argument that are no UTF-8 become escapes.

    >>> legible("caf\udce9"), legible("café")
    ('caf\\udce9', 'café')
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands, what was found, what would be right."""

    where: str
    what: str
    right: str = ""

    def __str__(self) -> str:
        """Read as one line: ``where: what; right``."""
        where, what, right = (shortened(legible(text)) for text in (self.where, self.what, self.right))
        return f"{f'{where}: ' if where else ''}{what}{f'; {right}' if right else ''}"


class UserError(Exception):
    """A mistake in what the user gave; the command line prints its problems and exits 2.

    >>> print(UserError.at("variant[0].steps[0].ratio", "1.5 is not below 1", "give 0 < ratio < 1"))
    variant[0].steps[0].ratio: 1.5 is not below 1; give 0 < ratio < 1
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def at(cls, where: str, what: str, right: str = "") -> UserError:
        """Make an error of a single problem."""
        return cls([Problem(where, what, right)])


class UnusableNetwork(UserError):
    """A network that was read in full and does not fit its task: as a variant it is an error of its own cells."""


class MissingExtra(UserError):
    """An optional package is needed and absent.

    >>> print(MissingExtra("pytest", "pytest"))
    package 'pytest' is not installed; pip install "compression-robustness-bench[pytest]"
    """

    def __init__(self, package: str, extra: str) -> None:
        advice = f'pip install "compression-robustness-bench[{extra}]"'
        super().__init__([Problem("", f"package {package!r} is not installed", advice)])


class NotApplicable(Exception):
    """A metric or step has no meaning here: the cell is ``skipped`` with this reason."""


class TooManySamples(NotApplicable):
    """A question that has no meaning for so many samples and may have one for fewer."""


class NotDifferentiable(NotApplicable):
    """The network gives no input gradient on this target."""
