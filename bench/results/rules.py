"""The rules of gates: which kinds of value each judges, and by what of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bench.results.values import Kind, Rule


class RuleInfo(NamedTuple):
    """A rule of gates."""

    kinds: tuple[Kind, ...]
    judges: Literal["harm", "change", "gap", "own figure"]
    limit: Literal["most", "least"] = "most"  # the tolerance is the most, or the least, that may be
    better: Literal["lower", "higher"] | None = None  # only values of which this is better; None: whichever is

    @property
    def words(self) -> str:
        """The words before the tolerance in a sentence."""
        return "tolerance" if self.judges != "own figure" else f"at {self.limit}"


RULES: dict[Rule, RuleInfo] = {
    "max_harm": RuleInfo(("quality", "pair"), "harm"),
    "max_gap": RuleInfo(("change",), "gap"),
    "max_change": RuleInfo(("change",), "change"),
    "min_value": RuleInfo(("quality", "pair"), "own figure", "least", "higher"),
    "max_value": RuleInfo(("quality", "pair"), "own figure", "most", "lower"),
}


def rules_of(kind: Kind) -> list[Rule]:
    """The rules that judge a kind of value.

    >>> rules_of("change"), rules_of("cost")
    (['max_gap', 'max_change'], [])
    """
    return [rule for rule, info in RULES.items() if kind in info.kinds]


def rule_on_own_figure(better: str) -> Rule | None:
    """The rule on own figures for values of which this is better.

    >>> rule_on_own_figure("higher"), rule_on_own_figure("none")
    ('min_value', None)
    """
    return next((rule for rule, info in RULES.items() if info.better == better), None)
