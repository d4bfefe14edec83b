"""A run against a baseline: every gated value in one word, simultaneous over all that is judged together."""

from __future__ import annotations

from typing import Any, Literal

from bench.gate.baseline import Baseline, BaselineCell, baseline_of, check_suite, differences
from bench.gate.judgements import judgement, look_closer, measure_it, suite_file
from bench.gate.kept_arrays import restored, shapes
from bench.gate.paired_tests import shifts
from bench.gate.questions import Against, Question, answer, margin_of, pairing_of
from bench.gate.skips import SkippedCell, accepted_by_suite, gated_names, same_reason
from bench.gate.timings import SLOWER, judge_timing
from bench.results import Cell, CellRecord, Judgement, Results, ValueResult, Word
from bench.stats.multiplicity import holm
from bench.store.samples import RunSamples, ValueSamples
from bench.wording import plain


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
        suite_path: For the command that looks closer; by default what the results name, where it is found.

    Raises:
        UserError: The baseline is another suite's.
    """
    check_suite(baseline, results)
    judge = _Judge(results, samples, baseline, suite_path or suite_file(results))
    measured = judge.measured
    for before in sorted(baseline.cells, key=lambda cell: cell.id.path):
        judge.cell(before, measured.get(before.id), "baseline", timings)
    for before in sorted(baseline.first, key=lambda cell: cell.id.path):
        if before.id in measured:
            judge.cell(before, measured[before.id], "first", timings=False)
    judge.skips()
    judge.newcomers()
    judge.references()
    return judge.finish(together)


class _Judge:
    """Collects what can be said at once, and what needs p-values of all."""

    def __init__(self, results: Results, samples: RunSamples, baseline: Baseline, suite_path: str) -> None:
        self.results = results
        self.baseline = baseline
        self.suite_path = suite_path
        self.now = baseline_of(results, samples, timings=True, ungated=True).by_id()  # rounded as the baseline is
        self.measured = {cell.id: cell for cell in results.cells}
        self.said: list[Judgement] = []
        self.questions: list[Question] = []

    def say(
        self, cell: CellRecord, name: str,
        against: Literal["baseline", "first", "reference"], word: Word, because: str, **more: Any,
    ) -> None:  # fmt: skip
        """Add one judgement."""
        look = look_closer(cell, self.suite_path)
        if word in ("missing", "accepted") and not more.get("decides", True):
            look = ""  # new or accepted: there is nothing to look at
        elif word in ("missing", "errored"):
            gone = cell.id not in self.measured and all(cell.id != other.id for other in self.results.left_out)
            look = "" if gone else measure_it(cell, self.suite_path)
        self.said.append(judgement(cell, name, against, word, because, look, **more))

    def cell(self, before: BaselineCell, cell: Cell | None, against: Against, timings: bool) -> None:
        """Every value of one cell."""
        names = [name for name, value in before.values.items() if timings or value.samples.form != "timing"]
        word, because = self._absent(cell)
        if word is None:
            after = self.now.get(before.id)
            assert cell is not None
            if after is None:
                because = "its per-sample arrays are missing: measure again"
            elif changed := differences(before, after):
                because = f"cannot be compared: another value of {', '.join(changed)}"
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
        elif _definition(old.samples) != _definition(new.samples):
            self.say(cell, name, against, "incomparable", "the value is defined in another way now")
        elif old.samples.form == "timing":
            self._timing(name, before, after, cell)
        elif shapes(old.samples.variant) != shapes(new.samples.variant):
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
            more: dict[str, Any] = {"rule": gate.rule, "per": gate.per, "margin": margin_of(gate)}
            if before.key == after.key and before.values[name].arrays == after.values[name].arrays:
                self.say(cell, name, against, "same", "the same measurement", not_worse=True, estimate=0.0, **more)
                continue
            pairing = pairing_of(name, before, after, cell, value, gate)
            if isinstance(pairing, str):
                self.say(cell, name, against, "inconclusive", pairing, **more)
            else:
                self.questions.append(Question(cell, name, gate, against, pairing))

    def _timing(self, name: str, before: BaselineCell, after: BaselineCell, cell: Cell) -> None:
        more: dict[str, Any] = {"rule": "timing", "margin": SLOWER}
        if before.machine != after.machine:
            because = "timings of another machine cannot be compared"
            self.say(cell, name, "baseline", "incomparable", because, decides=False, **more)
            return
        timing = judge_timing(restored(before.values[name].samples), restored(after.values[name].samples))
        self.say(cell, name, "baseline", timing.word, timing.because, **more, **timing.figures)

    def skips(self) -> None:
        """Gated cells that hold nothing and have no figures in the baseline; those that it accepted as skipped."""
        known = self.baseline.by_id()
        accepted = {cell.id: cell for cell in self.baseline.skipped}
        for cell in self.results.cells:
            for name in gated_names(cell) if cell.id not in known else ():
                if cell.status == "error":
                    self.say(cell, name, "baseline", "errored", plain(cell.reason) or "an error without a message")
                elif cell.status == "skipped":
                    self._skip(cell, name, accepted.get(cell.id))
        for which, before in accepted.items():
            if which not in self.measured:
                for name in before.values:
                    self.say(before, name, "baseline", "missing", "in the baseline as skipped, not in this run")

    def _skip(self, cell: Cell, name: str, before: SkippedCell | None) -> None:
        because = f"skipped: {plain(cell.reason) or 'no reason given'}"
        if accepted_by_suite(cell):
            self.say(cell, name, "baseline", "accepted", f"{because} (accepted: not_applicable)", decides=False)
        elif before is None:
            self.say(cell, name, "baseline", "missing", f"{because}; not in the baseline")
        elif same_reason(before.reason, cell.reason):
            self.say(cell, name, "baseline", "accepted", f"{because} (accepted: the baseline)", decides=False)
        else:
            self.say(cell, name, "baseline", "missing", f"{because}; accepted was another reason: {before.reason}")

    def newcomers(self) -> None:
        """The judgements of what the run gates and the baseline does not know."""
        known = self.baseline.by_id()
        for cell in self.results.cells:
            if cell.replicate is None or cell.status != "ok":
                continue
            for name, value in cell.values.items():
                if value.gates and (cell.id not in known or name not in known[cell.id].values):
                    because = "not in the baseline: crbench baseline accept takes it in"
                    unseen = not all(gate.looked for gate in value.gates)
                    if unseen:
                        because = f"not measured: {plain(value.reason) or 'no reason given'}"
                    self.say(cell, name, "baseline", "missing", because, decides=unseen)

    def references(self) -> None:
        """Gates that fail against the reference, and that nobody has accepted as failing."""
        cells = self.baseline.by_id()
        for cell in self.results.cells:
            before = cells.get(cell.id)
            for name, value in cell.values.items():
                old = [] if before is None or name not in before.values else before.values[name].gates
                known = {(gate.rule, gate.per): gate.verdict for gate in old}
                for gate in value.gates:
                    then = known.get((gate.rule, gate.per))
                    if cell.status == "ok" and gate.verdict == "failed" and then != "failed":
                        said = "the baseline does not know this gate" if then is None else "did not fail when accepted"
                        because = f"{gate.because}; {said}"
                        more = {"rule": gate.rule, "per": gate.per, "margin": gate.tolerance}
                        self.say(cell, name, "reference", "regressed", because, **more)

    def finish(self, together: int | None) -> list[Judgement]:
        """P-values of all questions, adjusted together."""
        count = max(len(self.questions), together or 0, 1)
        tested = shifts([question.pairing for question in self.questions], count)
        worse, better = ([getattr(item, side) for item in tested] for side in ("worse", "better"))
        if together is None:
            worse, better = holm(worse), holm(better)
        else:
            worse, better = ([min(1.0, count * p) for p in side] for side in (worse, better))
        for question, shift, p_worse, p_better in zip(self.questions, tested, worse, better, strict=True):
            told = answer(question, shift, p_worse, p_better)
            self.say(question.cell, question.name, question.against, told.word, told.because, **told.figures)
        return sorted(self.said, key=lambda item: (item.id.path, item.value, item.against, item.rule))


def _definition(samples: ValueSamples) -> tuple[object, ...]:
    """The definition of a value, which two compared measurements share."""
    return samples.form, samples.better, samples.power, samples.log
