"""The consequences of judgements for a run: one table, from which exit codes, closing lines and reports follow."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from bench.exit_codes import ExitCode, worst
from bench.results.judgements import Judgement, Word


class Consequence(Enum):
    """The consequence of a judgement."""

    PASS = "passes"
    ACCEPTED = "passes, since it was accepted by name"
    OPEN = "fails nothing, and shows nothing"
    REGRESSION = "fails"
    INCOMPLETE = "is not known, and fails"


class WordInfo(NamedTuple):
    """One word: adding one is adding a row, and its name to ``Word``."""

    consequence: Consequence  # where it decides
    gate: str = ""  # what it is called of a gate against the reference, where that is another word
    always_optional: bool = False  # where it does not decide, strict does not make it


WORDS: dict[Word, WordInfo] = {  # worst first: the order of every list
    "regressed": WordInfo(Consequence.REGRESSION, gate="failed"),
    "errored": WordInfo(Consequence.INCOMPLETE),
    "missing": WordInfo(Consequence.INCOMPLETE),
    "incomparable": WordInfo(Consequence.INCOMPLETE, always_optional=True),
    "inconclusive": WordInfo(Consequence.OPEN),
    "improved": WordInfo(Consequence.PASS),
    "accepted": WordInfo(Consequence.ACCEPTED, always_optional=True),
    "same": WordInfo(Consequence.PASS, gate="passed"),
}
FAILING = (Consequence.REGRESSION, Consequence.INCOMPLETE)
EXIT: dict[Consequence, ExitCode] = {
    Consequence.REGRESSION: ExitCode.REGRESSION,
    Consequence.INCOMPLETE: ExitCode.INCOMPLETE,
}


def decides(item: Judgement, strict: bool) -> bool:
    """Whether it counts for the exit code; with ``strict`` also what is new in a run."""
    return item.decides or (strict and not WORDS[item.verdict].always_optional)


def consequence(item: Judgement, strict: bool) -> Consequence:
    """The consequence of a judgement; ``strict`` fails what is not shown to be no worse.

    >>> item = Judgement(variant="v", target="t", metric="m", value="x", against="baseline", verdict="inconclusive",
    ...                  because="")
    >>> consequence(item, False).name, consequence(item, True).name
    ('OPEN', 'REGRESSION')
    """
    usual = WORDS[item.verdict].consequence
    if item.verdict == "inconclusive":
        if item.not_worse:
            return Consequence.PASS
        return Consequence.REGRESSION if strict else Consequence.OPEN
    return usual if usual not in FAILING or decides(item, strict) else Consequence.OPEN


def failing(judgements: Iterable[Judgement], strict: bool) -> list[Judgement]:
    """The judgements that fail a run."""
    return [item for item in judgements if consequence(item, strict) in FAILING]


def exit_code_of_judgements(judgements: Iterable[Judgement], strict: bool) -> ExitCode:
    """The worst of their consequences; INCOMPLETE where nothing decides."""
    known = list(judgements)
    if not any(decides(item, strict) for item in known):
        return ExitCode.INCOMPLETE
    return worst(EXIT.get(consequence(item, strict), ExitCode.PASS) for item in known)


def readable_word(item: Judgement) -> str:
    """The word as people read it: of a gate against the reference, failed or passed.

    >>> readable_word(Judgement(variant="v", target="t", metric="m", value="x", against="reference", verdict="same",
    ...                     because=""))
    'passed'
    """
    return (WORDS[item.verdict].gate if item.against == "reference" else "") or item.verdict
