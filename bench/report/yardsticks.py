"""The names of yardsticks in reports: retrained networks, copies with weight noise, networks that were given."""

from __future__ import annotations

from typing import NamedTuple

from bench.results.run import YardstickKind


class YardstickWords(NamedTuple):
    """The words of reports for one kind of yardstick."""

    at_one: str  # what stands at a gap of 1, in a word or two
    network: str
    networks: str
    further: str  # what a gate on a gap fails beside, and an alarm sounds beside
    what: str  # as different as ...
    two: str  # whose difference is the unit of the seed ratio
    chance: str  # what a large seed ratio rules out


YARDSTICKS: dict[YardstickKind, YardstickWords] = {
    "retrained": YardstickWords(
        "retrained",
        "a retrained network",
        "retrained networks",
        "one more retrained network",
        "the same recipe trained from another seed",
        "two trainings",
        "chance in training",
    ),
    "weight-noise": YardstickWords(
        "noisy copy",
        "a copy with weight noise",
        "copies with weight noise",
        "one more copy with weight noise",
        "a copy of the reference with the declared weight noise",
        "two copies with weight noise",
        "noise of that size in the weights",
    ),
    "given": YardstickWords(
        "given yardstick",
        "a given yardstick",
        "given yardsticks",
        "one more yardstick like those given",
        "a given yardstick, a network said to be as good as the reference",
        "two given yardsticks",
        "the choice among such networks",
    ),
    "none": YardstickWords(
        "yardstick",
        "a yardstick",
        "yardsticks",
        "one more yardstick",
        "a yardstick (this run has none)",
        "two yardsticks",
        "chance",
    ),
}


def yardstick_words(kind: YardstickKind, count: int) -> YardstickWords:
    """The words for a run's yardsticks.

    >>> yardstick_words("weight-noise", 4).network
    'a copy with weight noise'
    """
    return YARDSTICKS[kind if count else "none"]


def yardstick_scale(kind: YardstickKind, count: int) -> str:
    """The meaning of a gap of 1, in a sentence.

    >>> yardstick_scale("none", 0)
    'no yardstick: gaps do not exist in this run'
    """
    if kind == "none" or count == 0:
        return "no yardstick: gaps do not exist in this run"
    if kind == "given":
        return f"1 = as different as the given yardsticks ({count} networks)"
    if kind == "retrained":
        return f"1 = as different as the reference retrained from another seed ({count} yardsticks)"
    return f"1 = as different as the reference under declared weight noise ({count} noisy copies, a substitute)"
