"""The judgements of a run as one model: name, word and consequence, which every report of a gate draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cell_id import canonical_parameters
from bench.results import Comparison, Judgement
from bench.results.consequences import FAILING, WORDS, Consequence, consequence, readable_word
from bench.wording import plain, title, told_apart

AGAINST = {"baseline": "", "first": ", against the first baseline", "reference": ", against the reference"}


@dataclass(frozen=True)
class JudgementRow:
    """A judgement as a report's row."""

    name: str  # unlike every other
    word: str
    consequence: Consequence
    judgement: Judgement

    @property
    def because(self) -> str:
        """Figures, interval, margin, and why, in one line."""
        return plain(self.judgement.because)

    @property
    def unchanged(self) -> bool:
        """Whether the value stayed the same."""
        return self.judgement.verdict == "same"

    @property
    def bad(self) -> bool:
        """Whether it is of a kind that fails a run, even where it does not decide."""
        return WORDS[self.judgement.verdict].consequence in FAILING

    @property
    def look(self) -> str:
        """The command that looks closer, where that helps."""
        return self.judgement.look if self.bad else ""


def rows_of(comparison: Comparison) -> list[JudgementRow]:
    """Every judgement in the order of the comparison, the worst first."""
    named = zip(labels(comparison.judgements), comparison.judgements, strict=True)
    return [JudgementRow(name, readable_word(item), consequence(item, comparison.strict), item) for name, item in named]


def labels(judgements: Sequence[Judgement]) -> list[str]:
    """A name for each judgement, no two alike: variant (target): value, and its gate where it has several."""
    apart = told_apart((item.metric, item.params) for item in judgements)
    found = []
    for item in judgements:
        words = apart[item.metric, canonical_parameters(item.params)]
        replicate = f", replicate {item.replicate}" if item.replicate else ""
        value = f"{title(item.value)} ({words})" if words else title(item.value)
        found.append(f"{plain(item.variant)} ({plain(item.target)}{replicate}): {value}{AGAINST[item.against]}")
    return _numbered(_with_gates(found, judgements))


def _with_gates(names: Sequence[str], judgements: Sequence[Judgement]) -> list[str]:
    """Names that stand more than once, with the rule and the margin of their gates: JUnit wants them apart."""
    often = Counter(names)

    def gate(item: Judgement) -> str:
        return f", {plain(item.rule)}{'' if item.margin is None else f' {item.margin:g}'}" if item.rule else ""

    return [f"{name}{gate(item)}" if often[name] > 1 else name for name, item in zip(names, judgements, strict=True)]


def _numbered(names: Sequence[str]) -> list[str]:
    """The names, those that are still alike with a number from the second on."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found
