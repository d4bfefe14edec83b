"""The judgements of a run as one model: name, word and consequence, which every report of a gate draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cell_id import canonical_parameters
from bench.report.leaderboard.ratios import Order, ratio_entry
from bench.report.ratio_text import RatioLine, ratio_figures_in_words
from bench.results import Comparison, Judgement
from bench.results.consequences import FAILING, WORDS, Consequence, consequence, readable_word
from bench.wording import plain, title, told_apart

RATIOS = "How far each variant moved beside before (paired 95 % intervals; decides nothing)"
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


def ratio_lines(comparison: Comparison) -> list[RatioLine]:
    """How far each variant moved beside before, a line each; one line for each reason why it is not known."""
    apart = told_apart((item.metric, item.params) for item in comparison.ratios)
    lines: list[RatioLine] = []
    unknown: dict[str, list[str]] = {}
    for item in comparison.ratios:
        words = apart[item.metric, canonical_parameters(item.params)]
        value = f"{title(item.value)} ({words})" if words else title(item.value)
        replicate = f", replicate {item.replicate}" if item.replicate else ""
        name = f"{plain(item.variant)} ({plain(item.target)}{replicate}): {value}"
        entry = ratio_entry(name, "", item)
        if entry.order is Order.UNKNOWN:
            unknown.setdefault(plain(item.reason) or "no reason given", []).append(name)
        elif not item.unchanged:
            figures = ratio_figures_in_words(entry)
            said = "cannot be told apart from before:" if entry.order is Order.OPEN else "moved"
            as_far = "" if entry.order is Order.OPEN else " times as far as before"
            lines.append(RatioLine(entry.order, f"{name} {said} {figures}{as_far}"))
    lines += [RatioLine(Order.UNKNOWN, f"no ratio of {'; '.join(names)}: {why}") for why, names in unknown.items()]
    same = sum(item.unchanged and item.ci is not None for item in comparison.ratios)
    if same:
        lines.append(RatioLine(Order.OPEN, f"{same} the same measurement as before"))
    return lines


def labels(judgements: Sequence[Judgement]) -> list[str]:
    """A name for each judgement, no two alike: variant (target): value, and its gate where it has several."""
    apart = told_apart((item.metric, item.params) for item in judgements)
    names = []
    for item in judgements:
        words = apart[item.metric, canonical_parameters(item.params)]
        replicate = f", replicate {item.replicate}" if item.replicate else ""
        value = f"{title(item.value)} ({words})" if words else title(item.value)
        names.append(f"{plain(item.variant)} ({plain(item.target)}{replicate}): {value}{AGAINST[item.against]}")
    return _numbered(_with_gates(names, judgements))


def _with_gates(names: Sequence[str], judgements: Sequence[Judgement]) -> list[str]:
    """Names that stand more than once, with the rule and the margin of their gates: JUnit wants them apart."""
    often = Counter(names)

    def gate(item: Judgement) -> str:
        return f", {plain(item.rule)}{'' if item.margin is None else f' {item.margin:g}'}" if item.rule else ""

    return [f"{name}{gate(item)}" if often[name] > 1 else name for name, item in zip(names, judgements, strict=True)]


def _numbered(names: Sequence[str]) -> list[str]:
    """The names, those that are still alike with a number from the second on."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return numbered
