"""A baseline: the figures that a later run is compared with, in sorted JSON, and their per-sample arrays beside it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from bench.cell_id import CellId
from bench.errors import UserError
from bench.gate.kept_arrays import SHORT, digest, kept_cell
from bench.gate.skips import SkippedCell, skipped_cells
from bench.results import Cell, CellRecord, Results, ValueResult
from bench.store.samples import CellSamples, RunSamples, ValueSamples
from bench.wording import plain

BASELINE_VERSION = 2


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class KnownGate(_Record):
    """A gate against the reference as it stood when the baseline was accepted."""

    rule: str
    per: str | None = None
    verdict: Literal["passed", "failed", "inconclusive"]


class BaselineValue(_Record):
    """One value of a cell: its figure, its gates, and which arrays it was made of."""

    figure: float | None = None
    gates: list[KnownGate] = Field(default_factory=list)
    arrays: str = Field(description="16 hex digits of the hash of its arrays, which stand in the .npz beside this file")
    _samples: ValueSamples | None = PrivateAttr(None)

    def __eq__(self, other: object) -> bool:
        """Equal where the JSON is: the hash stands for the arrays."""
        return isinstance(other, BaselineValue) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @property
    def samples(self) -> ValueSamples:
        """The arrays, as a baseline keeps them."""
        assert self._samples is not None
        return self._samples

    def with_samples(self, samples: ValueSamples) -> BaselineValue:
        """This value with its arrays; ``ValueError`` where they are others than it was made of."""
        if digest(samples) != self.arrays:
            raise ValueError("its arrays are others than it was made of")
        self._samples = samples
        return self


class BaselineCell(CellRecord):
    """One cell, and what must be equal for another to be compared with it."""

    accepted: int = Field(1, description="the acceptance that its figures stem from")
    key: str
    network: str
    data: str
    reference: str
    yardsticks: str
    version: int
    n: int
    integer_sums: str = Field("", description="how 8-bit products were summed, of a network that has any")
    machine: str = ""
    values: dict[str, BaselineValue]


class Baseline(_Record):
    """All cells as last accepted; ``first`` holds those that were another thing when first accepted."""

    crbench_baseline: int = BASELINE_VERSION
    suite: str
    accepted: int = Field(1, description="how often a run was accepted")
    cells: list[BaselineCell]
    first: list[BaselineCell] = Field(default_factory=list)
    skipped: list[SkippedCell] = Field(default_factory=list, description="gated cells accepted as skipped")
    arrays_sha256: str = Field("", description="of the .npz beside it")
    sha256: str = Field("", description="of the canonical JSON of all else")

    def by_id(self) -> dict[CellId, BaselineCell]:
        """Cells by what they are of."""
        return {cell.id: cell for cell in self.cells}

    def first_by_id(self) -> dict[CellId, BaselineCell]:
        """Each cell as it was first accepted."""
        return self.by_id() | {cell.id: cell for cell in self.first}


class Accepted(NamedTuple):
    """A new baseline, and what it changes."""

    baseline: Baseline
    added: list[str]
    changed: list[str]
    removed: list[str]
    skipped: list[str]  # with their reasons


def baseline_of(
    results: Results, samples: RunSamples, *, timings: bool = False, accepted: int = 1, ungated: bool = False
) -> Baseline:
    """The baseline of a run: gated values, latencies if asked for, and gated cells that are skipped.

    ``ungated``: of the later run itself, everything whose arrays were kept.
    """
    cells = []
    for cell in results.cells:
        cell_samples = samples.cells.get(cell.id.path)
        if cell.status == "ok" and cell_samples is not None:
            names = [
                name
                for name, item in sorted(cell_samples.values.items())
                if name in cell.values and (timings if item.form == "timing" else ungated or cell.values[name].gates)
            ]
            samples_kept = kept_cell(cell_samples, names)
            values = {name: _value(samples_kept.values[name], cell.values[name]) for name in names}
            if values:
                cells.append(_cell(cell, cell_samples, values, accepted))
    cells.sort(key=lambda cell: cell.id.path)
    return Baseline(suite=results.suite.name, accepted=accepted, cells=cells, skipped=skipped_cells(results))


def _cell(cell: Cell, samples: CellSamples, values: dict[str, BaselineValue], accepted: int) -> BaselineCell:
    identity = samples.identity
    timed = any(value.samples.form == "timing" for value in values.values())
    return BaselineCell(
        variant=cell.variant, target=cell.target, metric=cell.metric, params=cell.params,
        replicate=cell.replicate or 0, label=cell.label, accepted=accepted,
        key=samples.key[:SHORT], network=samples.network[:SHORT],
        data=str(identity["data"])[:SHORT], reference=str(identity["reference"])[:SHORT],
        yardsticks=str(identity["yardsticks"])[:SHORT], version=int(identity["version"]), n=int(identity["n"]),
        integer_sums=str(identity.get("integer_sums", "")),
        machine=samples.machine if timed else "", values=values,
    )  # fmt: skip


def _value(samples: ValueSamples, value: ValueResult) -> BaselineValue:
    """A value with arrays that are kept already."""
    return BaselineValue(
        figure=value.variant if value.variant is not None else value.estimate,
        gates=[KnownGate(rule=gate.rule, per=gate.per, verdict=gate.verdict) for gate in value.gates],
        arrays=digest(samples),
    ).with_samples(samples)


def accept(
    results: Results, samples: RunSamples, previous: Baseline | None = None, *, timings: bool = False,
    restart: bool = False,
) -> Accepted:  # fmt: skip
    """The baseline after a run is accepted; the first figures of every cell stay in it, to see drift.

    Gated cells that are skipped are accepted so, each by name; an error never is.

    Args:
        results: A run without errors.
        samples: Its arrays.
        previous: The baseline so far.
        timings: Keep latencies too: only for runs on one and the same machine.
        restart: Forget the first figures: the loss since then is accepted as well.

    Raises:
        UserError: Nothing in the run can be compared later, or the baseline is another suite's.
    """
    count = 1 if previous is None else previous.accepted + 1
    made = baseline_of(results, samples, timings=timings, accepted=count)
    if not made.cells:
        advice = "gate a value in the suite, and measure it"
        raise UserError.at(plain(results.suite.name), "no gated value was measured: nothing to accept", advice)
    skipped = [f"{plain(cell.label)}: {cell.reason}" for cell in made.skipped]
    if previous is None:
        return Accepted(made, [plain(cell.label) for cell in made.cells], [], [], skipped)
    check_suite(previous, results)
    before, oldest = previous.by_id(), previous.first_by_id()
    changed = []
    for cell in made.cells:
        old = before.get(cell.id)
        if old is not None:
            if old.model_copy(update={"accepted": count}) == cell:
                cell.accepted = old.accepted
            else:
                changed.append(plain(cell.label))
    if not restart:
        firsts = [(cell, oldest[cell.id]) for cell in made.cells if cell.id in oldest]
        made.first = [first for cell, first in firsts if first != cell and not differences(first, cell)]
    held = {cell.id for cell in made.cells}
    return Accepted(
        made,
        [plain(cell.label) for cell in made.cells if cell.id not in before],
        changed,
        [plain(cell.label) for which, cell in before.items() if which not in held],
        skipped,
    )


def check_suite(baseline: Baseline, results: Results) -> None:
    """A baseline of another suite is a mistake, not a regression."""
    if baseline.suite != results.suite.name:
        what = f"the baseline is of the suite {plain(baseline.suite)!r}, the run of {plain(results.suite.name)!r}"
        raise UserError.at("--baseline", what, "name the baseline of this suite")


def differences(before: BaselineCell, after: BaselineCell) -> list[str]:
    """Why two cells cannot be compared, in words; empty where they can."""
    words = {
        "data": "the evaluation data", "reference": "the reference network", "yardsticks": "the yardsticks",
        "version": "the metric's version", "n": "the number of samples",
        "integer_sums": "the kind of 8-bit sums",
    }  # fmt: skip
    changed = []
    for name, word in words.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            changed.append(f"{word} ({old or 'not known'} before, {new or 'not known'} now)")
    return changed
