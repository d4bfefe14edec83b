"""A forecast of a run: what it would do and cost."""

from __future__ import annotations

from collections import defaultdict

from bench.engine.judged import arrays_lost, is_stored
from bench.engine.over_networks import OverNetworks
from bench.engine.planning import PlannedSuite
from bench.store.store import Store
from bench.suite.equivalents import equivalents
from bench.suite.plan import Plan, PlannedCell
from bench.suite.planned_networks import PlannedNetwork
from bench.suite.populations import populations, warnings
from bench.suite.selection import unused
from bench.suite.stages import observations_of, stage_cells, staged
from bench.suite.transfers import transfers


def forecast(planned: PlannedSuite, store: Store) -> list[str]:
    """Lines on what is stored, what is to be made, and the expected time where earlier observations tell it."""
    plan, expand = planned.plan, planned.planner
    missing = [cell for cell in plan.cells if _missing(store, cell)]
    networks: dict[str, PlannedNetwork] = {}
    observations = {}
    waterfalls = [stage_cells(expand, plan, cell)[1] for cell in plan.cells if cell.variant in staged(plan)]
    wanted = [item for cells in waterfalls for item in observations_of(cells)]
    over_networks: tuple[OverNetworks, ...] = (
        *populations(expand, plan),
        *transfers(expand, plan),
        *equivalents(expand, plan),
    )
    wanted += [item for whole in over_networks for item in whole.every()]
    for cell in missing:
        wanted += cell.every()
    for item in wanted:
        if item.key not in observations and not is_stored(store, item):
            observations[item.key] = item
            node: PlannedNetwork | None = item.network
            while node is not None and store.blob("networks", node.key) is None:
                networks[node.key] = node
                node = node.parent
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in store.records("observations") if observations else ():
        seconds[str(record.parts.get("probe"))].append(float(record.content["seconds"]))
    known = [item for item in observations.values() if seconds.get(item.probe.name)]
    total = sum(sum(s := seconds[item.probe.name]) / len(s) for item in known)
    trained = sum(1 for node in networks.values() if node.model is not None and node.weights is None)
    lines = [
        f"cells: {len(plan.cells)}, stored {len(plan.cells) - len(missing)}, to measure {len(missing)}",
        f"networks to make: {len(networks)} ({trained} trained), observations to make: {len(observations)}",
    ]
    if observations:
        share = f"{len(known)} of {len(observations)} observations are of probes seen before"
        lines.append(f"expected time: about {total:.0f} s ({share})" if known else "expected time: not known yet")
    return [*lines, *warnings(expand, plan)]


def applicability(plan: Plan) -> list[str]:
    """Warnings on ``not_applicable`` patterns that no cell matches."""
    return [f"warning: {line}" for line in unused([cell.label for cell in plan.cells], plan.suite.not_applicable)]


def _missing(store: Store, cell: PlannedCell) -> bool:
    record = store.get("cells", cell.key)
    status = None if record is None else record.content.get("status")
    return status in (None, "error") or (status == "ok" and arrays_lost(store, cell))
