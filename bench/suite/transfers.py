"""The plan of a transfer matrix: inputs made on each network, judged on every one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NamedTuple

from bench.data.base import EVALUATION
from bench.probes.logits import Logits
from bench.probes.transfer import Transfer
from bench.runtimes.base import Target
from bench.store.keys import Keyed
from bench.suite.plan import STATISTICS_VERSION, Plan, PlannedObservation
from bench.suite.planned_networks import PlannedNetwork
from bench.suite.planner import Planner, executable
from bench.suite.suite import Transfers

VERSION: Final = 1  # rises when the same observations give another matrix


class Member(NamedTuple):
    """A network of the matrix as it runs on a target."""

    role: Literal["reference", "variant", "yardstick"]
    name: str
    target: Target
    network: PlannedNetwork


@dataclass(frozen=True, eq=False)
class PlannedTransfer(Keyed):
    """The observations of one matrix."""

    section: Transfers
    members: tuple[Member, ...]
    inputs: tuple[PlannedObservation, ...]  # made on each
    judged: tuple[tuple[PlannedObservation, ...], ...]  # by the network of the inputs, by the network that judges
    count: int  # samples
    parts: dict[str, Any]

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs."""
        return f"transfer.{self.section.name}"

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that it is derived from, and those that these need."""
        for row in self.judged:
            for item in row:
                yield from item.every()


def transfers(planner: Planner, plan: Plan) -> tuple[PlannedTransfer, ...]:
    """Every transfer matrix of a suite, of the first replicate."""
    return tuple(_transfer(planner, plan, section) for section in plan.suite.transfers)


def members_of(planner: Planner, plan: Plan, section: Transfers) -> tuple[Member, ...]:
    """The reference and the variants on each target that is meant, then the yardsticks on the first of these."""
    targets: dict[str, Target] = {}
    variants: dict[tuple[str, str], Member] = {}
    references: dict[str, Member] = {}
    for cell in plan.cells:
        name = cell.target.name
        if cell.replicate or cell.variant not in section.variants or name not in section.targets:
            continue
        targets[name] = cell.target
        references[name] = Member("reference", "reference", cell.target, cell.original)
        variants[cell.variant, name] = Member("variant", cell.variant, cell.target, cell.network)
    own = [target for target in plan.suite.targets if target.name in targets]
    marks = []
    for number, node in enumerate(plan.yardsticks[: section.yardsticks], start=1):
        for target in own:
            running = executable(node, target, planner.splits, planner.exports)
            if running is not None:
                marks.append(Member("yardstick", f"yardstick {number}", target, running))
                break
    return (*(references[target.name] for target in own), *variants.values(), *marks)


def _transfer(planner: Planner, plan: Plan, section: Transfers) -> PlannedTransfer:
    members = members_of(planner, plan, section)
    samples = planner.fingerprints(EVALUATION)
    count = min(section.samples or samples.size, samples.size)
    probe = section.inputs
    judge = Transfer(**{item.name: getattr(probe, item.name) for item in fields(Transfer)})
    needs: tuple[PlannedObservation, ...] = ()
    if planner.dataset.evaluation.y is None and members:  # all are attacked at the same classes
        first = members[0]
        needs = (planner.observation(Logits(), first.network, first.target, first.network, count),)
    made = tuple(
        planner.observation(probe, item.network, item.target, item.network, count, needs=needs) for item in members
    )
    judged = tuple(
        tuple(
            planner.observation(judge, item.network, item.target, item.network, count, needs=(inputs,))
            for item in members
        )
        for inputs in made
    )
    parts = {
        "statistics": STATISTICS_VERSION,
        "transfer": VERSION,
        "samples": count,
        "members": [[item.role, item.name, item.target.name] for item in members],
        "judged": [[item.key for item in row] for row in judged],
    }
    return PlannedTransfer(section, members, made, judged, count, parts)
