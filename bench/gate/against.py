"""A run against a baseline: every gated value in one word, simultaneous over all that is judged together."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, Literal, NamedTuple

from bench.gate.baseline import Baseline, BaselineCell, BaselineValue, baseline_of, check_suite, differences, label_of
from bench.gate.shifts import Pairing, Shift, Statistic, rounds_ratio, shifts, yardstick_scale
from bench.metrics.base import Pair, Quality, metrics
from bench.results import Cell, GateResult, Judgement, Results, ValueResult, Word
from bench.stats.mann_whitney import mann_whitney, shift_interval
from bench.stats.multiplicity import holm
from bench.stats.noninferiority import decide, not_worse
from bench.store.samples import RunSamples, place_of
from bench.wording import difference, plain, significant, title
from bench.wording import tolerance as tolerance_text

Against = Literal["baseline", "first"]

SLOWER = 1.1  # the factor that a timing must change by
RARE = 0.002  # and the p-value that it must have


class CellId(NamedTuple):
    """A cell of a run; hashable, with its parameters as canonical JSON inside ``place``."""

    variant: str
    target: str
    metric: str
    place: str

    @classmethod
    def of(cls, cell: Cell | Judgement | BaselineCell) -> CellId:
        """The id of a cell, or of what was said about one."""
        place = place_of(cell.variant, cell.target, cell.metric, cell.params, cell.replicate)
        return cls(cell.variant, cell.target, cell.metric, place)


@dataclass(frozen=True, eq=False)
class _Question:
    """One value before and after, waiting for its p-values."""

    cell: Cell
    name: str
    gate: GateResult
    against: Against
    pairing: Pairing


def judge_baseline(
    results: Results,
    samples: RunSamples,
    baseline: Baseline,
    *,
    timings: bool = True,
    together: int | None = None,
    suite_path: str = "",
) -> list[Judgement]:
    """Judge every value of the baseline, and every gated value of the run that it lacks.

    Regressed and improved hold simultaneously (Holm over all values, those against the first figures included); same
    is shown value by value. A gate that fails against the reference and did not when the baseline was accepted is a
    regression too.

    Args:
        results: The run, judged against the reference.
        samples: Its arrays.
        baseline: What it is compared with.
        timings: Judge latencies where the baseline has them.
        together: Where cells are judged one by one: the number of judgements of the whole run (Bonferroni).
        suite_path: For the command that looks closer; the name in the results by default.

    Raises:
        UserError: The baseline is another suite's.
    """
    check_suite(baseline, results)
    judge = _Judge(results, samples, baseline, suite_path or plain(results.suite.path) or "SUITE")
    places = {CellId.of(cell).place: cell for cell in results.cells}
    for place, before in sorted(baseline.by_place().items()):
        judge.cell(before, places.get(place), "baseline", timings)
    for place, before in sorted(baseline.first_by_place().items()):
        if place in places and any(cell.place == place for cell in baseline.first):
            judge.cell(before, places[place], "first", timings=False)
    judge.newcomers()
    judge.references()
    return judge.finish(together)


def by_cell(judgements: Sequence[Judgement]) -> dict[CellId, list[Judgement]]:
    """Judgements by the cell that they are about."""
    found: dict[CellId, list[Judgement]] = defaultdict(list)
    for item in judgements:
        found[CellId.of(item)].append(item)
    return dict(found)


class _Judge:
    """Collects what can be said at once, and what needs p-values of all."""

    def __init__(self, results: Results, samples: RunSamples, baseline: Baseline, suite_path: str) -> None:
        self.results = results
        self.baseline = baseline
        self.suite_path = suite_path
        self.now = baseline_of(results, samples, timings=True).by_place()  # rounded as the baseline is
        self.said: list[Judgement] = []
        self.questions: list[_Question] = []

    def say(
        self, cell: Cell | BaselineCell, name: str, against: Literal["baseline", "first", "reference"], word: Word,
        because: str, **more: Any,
    ) -> None:  # fmt: skip
        """One judgement."""
        look = f"crbench why {shlex.quote(label_of(cell))} --suite {shlex.quote(self.suite_path)}"
        if word == "missing" and not more.get("decides", True):
            look = ""  # new: there is nothing to look at
        elif word in ("missing", "errored"):
            look = f"crbench run {shlex.quote(self.suite_path)} --only {shlex.quote(label_of(cell))}"
        self.said.append(
            Judgement(
                variant=cell.variant,
                target=cell.target,
                metric=cell.metric,
                params=cell.params,
                replicate=cell.replicate,
                value=name,
                against=against,
                verdict=word,
                because=because,
                look=look,
                **more,
            )
        )

    def cell(self, before: BaselineCell, cell: Cell | None, against: Against, timings: bool) -> None:
        """Every value of one cell."""
        names = [name for name, value in before.values.items() if timings or value.form != "timing"]
        word, because = self._absent(cell)
        if word is None:
            after = self.now.get(before.place)
            assert cell is not None
            if after is None:
                because = "its per-sample arrays are missing: measure again"
            elif found := differences(before, after):
                because = f"cannot be compared: another value of {', '.join(found)}"
            else:
                for name in names:
                    self._value(name, before, after, cell, against)
                return
            word = "incomparable"
        if against == "baseline":  # said once
            for name in names:
                self.say(cell or before, name, against, word, because, rule="")

    def _absent(self, cell: Cell | None) -> tuple[Word | None, str]:
        if cell is None:
            return "missing", "in the baseline, not in this run"
        if cell.status == "error":
            return "errored", plain(cell.reason) or "an error without a message"
        if cell.status == "skipped":
            return "missing", f"skipped: {plain(cell.reason) or 'no reason given'}"
        return None, ""

    def _value(self, name: str, before: BaselineCell, after: BaselineCell, cell: Cell, against: Against) -> None:
        old, new = before.values[name], after.values.get(name)
        value = cell.values.get(name)
        if new is None or value is None:
            self.say(cell, name, against, "missing", "the run gates this value no more: accept a new baseline")
        elif (old.form, old.better, old.power, old.log) != (new.form, new.better, new.power, new.log):
            self.say(cell, name, against, "incomparable", "the value is defined in another way now")
        elif old.form == "timing":
            self._timing(name, before, after, cell)
        elif _sizes(old) != _sizes(new):
            self.say(cell, name, against, "incomparable", "the arrays have other shapes")
        else:
            self._ask(name, before, after, cell, value, against)

    def _ask(
        self, name: str, before: BaselineCell, after: BaselineCell, cell: Cell, value: ValueResult, against: Against
    ) -> None:
        """A question for each gate over all samples; of several per-class gates the first stands for all."""
        gates = [gate for gate in value.gates if gate.per is None] or value.gates[:1]
        if not gates:
            self.say(cell, name, against, "missing", "the run gates this value no more: accept a new baseline")
        for gate in gates:
            more: dict[str, Any] = {"rule": gate.rule, "margin": margin_of(gate)}
            if before.key == after.key and before.values[name].variant == after.values[name].variant:
                self.say(cell, name, against, "same", "the same measurement", not_worse=True, estimate=0.0, **more)
                continue
            found = self._pairing(name, before, after, cell, value, gate)
            if isinstance(found, str):
                self.say(cell, name, against, "inconclusive", found, **more)
            else:
                self.questions.append(_Question(cell, name, gate, against, found))

    def _pairing(
        self, name: str, before: BaselineCell, after: BaselineCell, cell: Cell, value: ValueResult, gate: GateResult
    ) -> Pairing | str:
        """What is compared, or why it cannot be."""
        scale = None
        if gate.rule == "max_gap":
            scale = yardstick_scale(value.yardsticks)
            if scale is None or (value.gap is None and value.gap_ci is None):
                return f"no gap: {plain(value.reason) or 'the yardsticks give no scale'}"
        statistic = None
        if after.values[name].form == "statistic":
            statistic = statistic_of(cell, name)
            if statistic is None:
                return "the metric's statistic is not registered here, so nothing can be resampled"
        old, new = before.values[name].samples(), after.values[name].samples()
        return Pairing(old, new, after.n, margin_of(gate), statistic, scale)

    def _timing(self, name: str, before: BaselineCell, after: BaselineCell, cell: Cell) -> None:
        """Latency over the reference's, round by round: Mann-Whitney p < 0.002 and a factor of 1.1."""
        more: dict[str, Any] = {"rule": "timing", "margin": SLOWER}
        if before.machine != after.machine:
            because = "timings of another machine cannot be compared"
            self.say(cell, name, "baseline", "incomparable", because, decides=False, **more)
            return
        old, new = (rounds_ratio(item.values[name].samples()) for item in (before, after))
        moved, (low, high, _) = shift_interval(old, new)
        p_value = mann_whitney(old, new)
        assert low is not None
        assert high is not None
        sure = p_value < RARE
        word: Word = "regressed" if sure and moved > log(SLOWER) else "inconclusive"
        if sure and moved < -log(SLOWER):
            word = "improved"
        elif -log(SLOWER) <= low and high <= log(SLOWER):
            word = "same"
        factors = [significant(exp(min(max(part, -50.0), 50.0))) for part in (moved, low, high)]
        because = (
            f"{factors[0]} times as long as before [{factors[1]}, {factors[2]}], beside the reference; at most {SLOWER}"
        )
        self.say(cell, name, "baseline", word, because, p_value=p_value, not_worse=high <= log(SLOWER), **more)

    def newcomers(self) -> None:
        """What the run gates and the baseline does not know."""
        known = self.baseline.by_place()
        for cell in self.results.cells:
            place = CellId.of(cell).place
            if cell.replicate is None or cell.status != "ok":
                continue
            for name, value in cell.values.items():
                if value.gates and (place not in known or name not in known[place].values):
                    because = "not in the baseline: crbench baseline accept takes it in"
                    self.say(cell, name, "baseline", "missing", because, decides=False)

    def references(self) -> None:
        """Gates that fail against the reference, and that nobody has accepted as failing."""
        cells = self.baseline.by_place()
        for cell in self.results.cells:
            before = cells.get(CellId.of(cell).place)
            for name, value in cell.values.items():
                old = [] if before is None or name not in before.values else before.values[name].gates
                known = {(gate.rule, gate.per): gate.verdict for gate in old}
                for gate in value.gates:
                    then = known.get((gate.rule, gate.per))
                    if cell.status == "ok" and gate.verdict == "failed" and then != "failed":
                        said = "the baseline does not know this gate" if then is None else "did not fail when accepted"
                        because = f"{gate.because}; {said}"
                        self.say(cell, name, "reference", "regressed", because, rule=gate.rule, margin=gate.tolerance)

    def finish(self, together: int | None) -> list[Judgement]:
        """P-values of all questions, adjusted together."""
        count = max(len(self.questions), together or 0, 1)
        found = shifts([question.pairing for question in self.questions], count)
        worse, better = ([getattr(item, side) for item in found] for side in ("worse", "better"))
        if together is None:
            worse, better = holm(worse), holm(better)
        else:
            worse, better = ([min(1.0, count * p) for p in side] for side in (worse, better))
        for question, shift, p_worse, p_better in zip(self.questions, found, worse, better, strict=True):
            self._answer(question, shift, p_worse, p_better)
        return sorted(self.said, key=lambda item: (CellId.of(item).place, item.value, item.against, item.rule))

    def _answer(self, question: _Question, shift: Shift, worse: float, better: float) -> None:
        value, margin, found = question.cell.values[question.name], question.pairing.margin, shift.found
        more: dict[str, Any] = {"rule": question.gate.rule, "margin": margin}
        if found.estimate is None or found.interval.method == "none":
            because = found.reason or "no interval can be given"
            self.say(question.cell, question.name, question.against, "inconclusive", because, **more)
            return
        word = decide(found.interval, margin, worse, better)
        keeps = not_worse(found.interval, margin)
        since = "than the baseline" if question.against == "baseline" else "than when it was first accepted: drift"
        shown = _shown(value, question, found.estimate, (found.interval.low, found.interval.high))
        tail = {
            "regressed": f"surely worse {since}",
            "improved": f"surely better {since}",
            "same": f"no worse {since}",
            "inconclusive": f"no worse {since}, perhaps better" if keeps else f"not shown to be no worse {since}",
        }[word]
        self.say(
            question.cell,
            question.name,
            question.against,
            word,
            f"{shown}: {tail}",
            estimate=found.estimate,
            ci=(found.interval.low, found.interval.high),
            p_value=worse,
            not_worse=keeps and word != "regressed",
            **more,
        )


def margin_of(gate: GateResult) -> float:
    """How much worse than a baseline a value may become: as declared, else the tolerance; 0 for a floor."""
    if gate.margin is not None:
        return gate.margin
    return 0.0 if gate.rule == "min_value" else gate.tolerance


def statistic_of(cell: Cell, name: str) -> Statistic | None:
    """The statistic of a registered metric's value; what a results file names is never imported."""
    if cell.metric not in metrics.names():
        return None
    for value in metrics.get(cell.metric).values:
        if value.name == name and isinstance(value, Quality | Pair):
            return value.statistic
    return None


def _sizes(value: BaselineValue) -> dict[str, str]:
    return {name: text.split(":")[1] for name, text in value.variant.items()}


def _shown(value: ValueResult, question: _Question, estimate: float, limits: tuple[float | None, float | None]) -> str:
    """A signed difference with its interval and margin, in the value's own unit."""
    pairing = question.pairing
    if pairing.scale is not None:
        scaled = ValueResult(kind="quality", unit="")
        text, name = " ".join(difference(scaled, estimate, limits)).strip(), f"gap of {title(question.name)} "
    else:
        counted = pairing.after.form in ("proportion", "count")
        scaled = ValueResult(kind="quality", unit=value.unit, interval="score" if counted else "none")
        text, name = " ".join(difference(scaled, estimate, limits)).strip(), ""
    return f"{name}{text}, margin {tolerance_text(scaled, pairing.margin)}"


def gated_values(results: Results) -> Iterator[tuple[Cell, str, GateResult]]:
    """Every gate of a run with its cell and value."""
    for cell in results.cells:
        for name, value in cell.values.items():
            for gate in value.gates:
                yield cell, name, gate


def judge_reference(results: Results, suite_path: str = "") -> list[Judgement]:
    """Every gate against the reference as a judgement: failed is regressed, passed is same."""
    path = shlex.quote(suite_path or plain(results.suite.path) or "SUITE")
    words: Mapping[str, Word] = {"passed": "same", "failed": "regressed", "inconclusive": "inconclusive"}
    said = []
    for cell, name, gate in gated_values(results):
        word = words[gate.verdict]
        if cell.status == "error":
            word = "errored"
        elif cell.status == "skipped":
            word = "missing"
        look = f"crbench why {shlex.quote(label_of(cell))} --suite {path}"
        said.append(
            Judgement(
                variant=cell.variant,
                target=cell.target,
                metric=cell.metric,
                params=cell.params,
                replicate=cell.replicate,
                value=name,
                against="reference",
                rule=gate.rule,
                verdict=word,
                because=gate.because,
                margin=gate.tolerance,
                not_worse=gate.verdict == "passed",
                look=look,
                decides=cell.status != "skipped",
            )
        )
    return said
