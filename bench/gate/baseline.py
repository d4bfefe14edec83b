"""A baseline: the figures and arrays that a later run is compared with; JSON, sorted, one value a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.cell_id import CellId
from bench.errors import UserError
from bench.gate.encoding import decode, encode
from bench.gate.skips import SkippedCell, skipped_cells
from bench.results import Cell, CellRecord, Results, ValueResult
from bench.store.checksums import is_whole, sealed
from bench.store.files import write_atomic
from bench.store.samples import CellSamples, Form, RunSamples, ValueSamples, check_samples
from bench.wording import plain

BASELINE_VERSION = 1
SHORT = 16  # hex digits of a hash: 64 bits tell two networks apart
EXACT: tuple[Form, ...] = ("statistic",)  # confidences near 1 need more than 11 bits


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class KnownGate(_Record):
    """A gate against the reference as it stood when the baseline was accepted."""

    rule: str
    per: str | None = None
    verdict: Literal["passed", "failed", "inconclusive"]


class BaselineValue(_Record):
    """One value of a cell: its figure, its gates, its samples."""

    form: Form
    better: Literal["lower", "higher", "none"] = "none"
    power: Literal[1, 2] = 1
    log: bool = False
    figure: float | None = None
    gates: list[KnownGate] = Field(default_factory=list)
    variant: dict[str, str] = Field(default_factory=dict)
    reference: dict[str, str] = Field(default_factory=dict)

    def samples(self) -> ValueSamples:
        """The arrays; damaged ones raise ``ValueError``."""
        own, other = ({name: decode(text) for name, text in t.items()} for t in (self.variant, self.reference))
        return ValueSamples(self.form, own, other, better=self.better, power=self.power, log=self.log)


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
    sha256: str = Field("", description="of the canonical JSON of all else; empty: written before there were checksums")

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


def load_baseline(path: Path | str) -> Baseline:
    """Read a baseline.

    Raises:
        UserError: absent, damaged, or of another version.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text)
    except OSError as error:
        raise UserError.at(str(path), error.strerror or "cannot be read", "crbench baseline accept RUN") from None
    except (ValueError, RecursionError):
        raise UserError.at(str(path), "is no JSON, or cut short", "take it from version control again") from None
    found = content.get("crbench_baseline") if isinstance(content, dict) else None
    if found != BASELINE_VERSION or isinstance(found, bool):
        what = f"a baseline of version {json.dumps(found)}" if isinstance(found, int) else "is no baseline"
        raise UserError.at(str(path), what, f"version {BASELINE_VERSION} is read; accept a run anew")
    try:
        baseline = Baseline.model_validate_json(text, strict=True)
        for cell in (*baseline.cells, *baseline.first):
            for value in cell.values.values():
                check_samples(value.samples(), cell.n)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError.at(
            f"{path}: {plain(place)}", plain(first["msg"]), "take it from version control again"
        ) from None
    except (ValueError, LookupError) as error:
        raise UserError.at(str(path), plain(error), "take it from version control again") from None
    if baseline.sha256 and not is_whole(content):
        what = "its checksum does not fit: it was changed, or is damaged"
        right = "take it from version control again; what two branches accepted is accepted again, not merged"
        raise UserError.at(str(path), what, right)
    return baseline.model_copy(update={"sha256": ""})  # it is of the file


def write_baseline(baseline: Baseline, path: Path | str) -> int:
    """Write it; answers its size in bytes."""
    content = baseline.model_dump(mode="json", exclude_defaults=True, exclude={"sha256"})
    content = sealed(content | {"crbench_baseline": BASELINE_VERSION})
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    write_atomic(Path(path), text.encode())
    return len(text)


def baseline_of(results: Results, samples: RunSamples, *, timings: bool = False, accepted: int = 1) -> Baseline:
    """What a later run can be compared with: gated values, latencies if asked for, and gated cells that are skipped."""
    cells = []
    for cell in results.cells:
        found = samples.cells.get(cell.id.path)
        if cell.status == "ok" and found is not None:
            values = {
                name: _value(item, cell.values[name])
                for name, item in sorted(found.values.items())
                if name in cell.values and (timings or item.form != "timing")
            }
            if values:
                cells.append(_cell(cell, found, values, accepted))
    cells.sort(key=lambda cell: cell.id.path)
    return Baseline(suite=results.suite.name, accepted=accepted, cells=cells, skipped=skipped_cells(results))


def _cell(cell: Cell, found: CellSamples, values: dict[str, BaselineValue], accepted: int) -> BaselineCell:
    identity = found.identity
    return BaselineCell(
        variant=cell.variant, target=cell.target, metric=cell.metric, params=cell.params,
        replicate=cell.replicate or 0, label=cell.label, accepted=accepted,
        key=found.key[:SHORT], network=found.network[:SHORT],
        data=str(identity["data"])[:SHORT], reference=str(identity["reference"])[:SHORT],
        yardsticks=str(identity["yardsticks"])[:SHORT], version=int(identity["version"]), n=int(identity["n"]),
        integer_sums=str(identity.get("integer_sums", "")),
        machine=found.machine if any(value.form == "timing" for value in values.values()) else "", values=values,
    )  # fmt: skip


def _value(found: ValueSamples, value: ValueResult) -> BaselineValue:
    exact = found.form in EXACT
    keep = found.reference if found.form == "timing" else {}
    return BaselineValue(
        form=found.form, better=found.better, power=found.power, log=found.log,
        figure=value.variant if value.variant is not None else value.estimate,
        gates=[KnownGate(rule=gate.rule, per=gate.per, verdict=gate.verdict) for gate in value.gates],
        variant={name: encode(array, exact=exact) for name, array in found.variant.items()},
        reference={name: encode(array, exact=exact) for name, array in keep.items()},
    )  # fmt: skip


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
    found = []
    for name, word in words.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(f"{word} ({old or 'not known'} before, {new or 'not known'} now)")
    return found
