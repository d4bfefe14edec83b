"""May a variant, and the run, ship? One sentence each, that names what decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bench.cell_id import canonical_parameters
from bench.results import Cell, GateResult, Results, VariantResult, Verdict
from bench.wording import place_words, plain, title, told_apart
from bench.wording_of_sums import caveat, kinds_elsewhere, sums_told, unmeasured

UNGATED = "no gate was set"


def gates_of(cells: Iterable[Cell]) -> list[tuple[str, GateResult]]:
    """Every gate with the name of its value in words, parameters where the same metric stands twice."""
    cells = list(cells)
    apart = told_apart((cell.metric, cell.params) for cell in cells)
    named_gates = []
    for cell in cells:
        words = apart[cell.metric, canonical_parameters(cell.params)]
        for name, value in cell.values.items():
            label = f"{title(name)} ({words})" if words else title(name)
            named_gates += [(label, gate) for gate in value.gates]
    return named_gates


def _phrases(gates: Iterable[tuple[str, GateResult]], wanted: str) -> list[str]:
    """The phrases of such gates; values with one and the same reason share one."""
    labels: dict[str, list[str]] = {}
    for label, gate in gates:
        if gate.verdict == wanted:
            labels.setdefault(gate.because, []).append(label)
    return [f"{', '.join(names)} {because}" for because, names in labels.items()]


def verdict(cells: Iterable[Cell], subject: str = "") -> Verdict:
    """May the variant of these cells ship? The sentence names what decided.

    False when any gate failed; null when any is inconclusive, its cell errored (then ``error``) or skipped, or nothing
    is gated; true when all passed. ``subject`` is the variant in words; by default its name and target.

    >>> from bench.results import ValueResult
    >>> harm = ValueResult(kind="quality", estimate=0.061, ci=(0.032, 0.09), interval="score")
    >>> from bench.gate.tolerances import judge_gate
    >>> harm.gates.append(judge_gate(harm, "max_harm", 0.03))
    >>> cell = Cell(variant="prune50", target="torch", metric="adversarial.pgd", family="adversarial", status="ok",
    ...             values={"robust_error": harm})
    >>> print(verdict([cell]).because)
    do not ship prune50 (torch): robust error +6.1 points [3.2, 9.0], tolerance 3
    """
    cells = list(cells)
    if not subject:
        names = dict.fromkeys(f"{plain(cell.variant)} ({plain(cell.target)})" for cell in cells)
        subject = ", ".join(names) or "the variant"
    gates = gates_of(cells)
    failed, undecided, accepted = (_phrases(gates, word) for word in ("failed", "inconclusive", "accepted"))
    if failed:
        return Verdict(ship=False, because=f"do not ship {subject}: {'; '.join([*failed, *accepted])}")
    broken = [cell for cell in cells if cell.status == "error" and (gates_of([cell]) or not gates)]
    if broken:
        said = undecided or dict.fromkeys(f"{plain(c.metric)} {plain(c.reason) or 'no reason given'}" for c in broken)
        return Verdict(ship=None, error=True, because=f"error in {subject}: {'; '.join([*said, *accepted])}")
    if undecided:
        return Verdict(ship=None, because=f"undecided on {subject}: {'; '.join([*undecided, *accepted])}")
    count = sum(gate.verdict == "passed" for _, gate in gates)
    if not count:
        return Verdict(ship=None, because=f"undecided on {subject}: {'; '.join(accepted) or UNGATED}")
    many = "its gate" if count == 1 else f"all {count} gates"
    return Verdict(ship=True, because="; ".join([f"{subject} may ship: it passes {many}", *accepted]))


def cells_of(variant: VariantResult, cells: Iterable[Cell]) -> list[Cell]:
    """The cells of one variant on one target in one replicate."""
    mine = (variant.name, variant.target, variant.replicate)
    return [cell for cell in cells if (cell.variant, cell.target, cell.replicate) == mine]


def subjects(variants: Sequence[VariantResult]) -> list[str]:
    """Each variant in words: name and target, and the replicate where one of them has several."""
    several = {key for key, count in Counter((v.name, v.target) for v in variants).items() if count > 1}
    words = []
    for variant in variants:
        place = place_words(variant.target, variant.replicate, several=(variant.name, variant.target) in several)
        words.append(f"{plain(variant.name)} ({place})")
    return words


def variant_verdict(name: str, target: str, cells: Iterable[Cell]) -> Verdict:
    """The verdict on one variant on one target, whose cells these are."""
    return verdict(cells, f"{plain(name)} ({plain(target)})")


def overall_verdict(variants: Sequence[VariantResult]) -> Verdict:
    """The run's verdict: false where any variant's is, else null where any is, else true.

    It is an error where nothing failed its gates and something could not be measured.
    """
    if not variants:
        return Verdict(ship=None, because="undecided: no variant was measured")
    parts = []
    kinds: tuple[tuple[bool | None, bool, str], ...] = (
        (False, False, "do not ship"), (None, True, "error in"), (None, False, "undecided on"),
        (True, False, "may ship:"),
    )  # fmt: skip
    for ship, error, words in kinds:
        those = [
            name
            for name, v in zip(subjects(variants), variants, strict=True)
            if (v.verdict.ship, v.verdict.error) == (ship, error)
        ]
        if those:
            parts.append(f"{words} {', '.join(those)}")
    states = {variant.verdict.ship for variant in variants}
    decided = False if False in states else None if None in states else True
    error = decided is None and any(variant.verdict.error for variant in variants)
    return Verdict(ship=decided, error=error, because="; ".join(parts))


def with_verdicts(results: Results) -> Results:
    """A copy in which every variant's and the run's verdict follow from the gates in the cells."""
    variants = []
    for variant, name in zip(results.variants, subjects(results.variants), strict=True):
        told = verdict(cells_of(variant, results.cells), name)
        more = caveat(*_sums_told(variant, results.cells))
        told.because += f"; {more}" if more else ""
        variants.append(variant.model_copy(update={"verdict": told}))
    whole = overall_verdict(variants)
    if variants and whole.ship is None and not whole.error and not gates_of(results.cells):
        whole = Verdict(ship=None, because=f"undecided: {UNGATED}")
    open_ = [name for name, _ in unmeasured_variants(results)]
    if open_:
        whole.because += f"; other functions on other processors, not measured here: {', '.join(open_)}"
    return results.model_copy(update={"variants": variants, "verdict": whole})


def _sums_told(variant: VariantResult, cells: Iterable[Cell]) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
    """The record of a variant's 8-bit sums, and its other targets by the kind of theirs."""
    cells = list(cells)
    mine = [cell for cell in cells if (cell.variant, cell.target) == (variant.name, variant.target)]
    return sums_told(mine), kinds_elsewhere(cells, variant.name, variant.target)


def unmeasured_variants(results: Results) -> list[tuple[str, str]]:
    """The variants that are another function on other processors and were not measured so; what is said of each."""
    variants = []
    for variant, name in zip(results.variants, subjects(results.variants), strict=True):
        told = _sums_told(variant, results.cells)
        if unmeasured(*told):
            variants.append((name, caveat(*told)))
    return variants
