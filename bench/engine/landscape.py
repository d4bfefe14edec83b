"""The weight landscape of a reference: the loss along lines and curves, in simplexes, and on a plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench.engine.inline import InlineEngine
from bench.engine.over_networks import measured
from bench.errors import NotApplicable
from bench.functional.members.curves import plane_through
from bench.functional.members.places import Places, in_simplex, on_curve, on_line
from bench.results import LandscapePath, LandscapePlane, LandscapePoint, LandscapeResult
from bench.stats.barrier import barrier
from bench.stats.mean import mean_interval
from bench.stats.proportions import clopper_pearson
from bench.stats.resampling import Resamples
from bench.stats.streams import derive_seed
from bench.suite.landscapes import PlannedLandscape
from bench.suite.planned_networks import chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.uncertainty.landscape import Region, Seen

    Look = Callable[[Any], Seen]

BATCH_NORM_SAMPLES = 512  # where the method has no number of its own
SHOWN = 3  # modes between which lines lead, where there are many


def landscapes_of(engine: InlineEngine, items: Sequence[PlannedLandscape]) -> list[LandscapeResult]:
    """Every landscape."""
    results = []
    for item in items:
        engine.used |= {node.key for node in chain(item.network)}
        method = item.network.method
        names: dict[str, Any] = {"name": item.section.name, "samples": item.count}
        names |= {"method": "" if method is None else method.name}
        names |= {} if item.replicate is None else {"replicate": item.replicate}
        results.append(measured(engine, item, LandscapeResult.model_validate(names), _derive))
    return results


def _derive(engine: InlineEngine, planned: PlannedLandscape, blank: LandscapeResult) -> LandscapeResult:
    """The region that the members tell, and what is seen in it; what has none is skipped with the reason."""
    from bench.uncertainty.landscape import looked_at, region_of
    from bench.uncertainty.weight_vectors import some_samples

    node, section = planned.network, planned.section
    network = engine.networks.get(node)
    samples = engine.observations.samples(planned.count)
    own: int = getattr(node.method, "batch_norm_samples", BATCH_NORM_SAMPLES)
    count = section.batch_norm_samples or own
    images = some_samples(engine.observations.dataset.train, count, derive_seed(blank.method, planned.seed))
    try:
        module = getattr(network, "module", None)
        region = region_of(module, node.method, planned.seed, network.record, kept=node.weights is not None)

        def look(weights: Any) -> Seen:
            return looked_at(region.space, weights, images, samples, network.input.one_member)

        engine.observations.progress(f"landscape of {blank.method}")
        resamples = Resamples(planned.count)
        paths = [
            _path(kind, [region.names[mode] for mode in modes], places, look(places.weights), resamples)
            for kind, modes, places in _paths(region, planned)
        ]
        plane, reason = _plane(region, planned, look)
    except NotApplicable as error:
        return blank.model_copy(update={"status": "skipped", "reason": str(error)})
    figures = {"batch_norm_samples": len(images.x), "modes": list(region.names), "paths": paths}
    return blank.model_copy(update={**figures, "plane": plane, "plane_reason": reason})


def _paths(
    region: Region, planned: PlannedLandscape
) -> Iterator[tuple[Literal["line", "curve", "simplex"], tuple[int, ...], Places]]:
    """Kind, modes that are ends, and places."""
    count, points = len(region.names), planned.section.points
    if region.form == "curve":
        yield "curve", (0, 2), on_curve(points)
        yield "line", (0, 2), on_line(points, count, 0, 2)
    elif region.form == "simplex":
        yield "simplex", tuple(range(count)), in_simplex(count, planned.section.draws, "landscape", planned.seed)
    else:
        shown = range(min(count, SHOWN))
        for first in shown:
            for second in shown[first + 1 :]:
                yield "line", (first, second), on_line(points, count, first, second)


def _path(
    kind: Literal["line", "curve", "simplex"], ends: list[str], places: Places, seen: Seen, resamples: Resamples
) -> LandscapePath:
    found = barrier(seen.losses, places.shares, seen.losses[list(places.ends)], resamples)
    points = []
    for name, weights, losses, right in zip(places.names, places.weights, seen.losses, seen.correct, strict=True):
        low, high, _ = mean_interval(losses, resamples)
        hits = int(right.sum())
        points.append(
            LandscapePoint(
                name=name, weights=weights.tolist(), loss=float(losses.mean()), loss_ci=_both(low, high),
                accuracy=hits / len(right), accuracy_ci=_both(*clopper_pearson(hits, len(right))[:2]),
            )
        )  # fmt: skip
    return LandscapePath(
        kind=kind, ends=ends, points=points, barrier=found.estimate, barrier_ci=_both(*found.interval[:2]),
        barrier_at=places.names[found.index],
    )  # fmt: skip


def _both(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _plane(region: Region, planned: PlannedLandscape, look: Look) -> tuple[LandscapePlane | None, str]:
    """The loss on the plane through the first three modes, or why there is none."""
    from bench.uncertainty.weight_vectors import weight_vector

    section, count = planned.section, len(region.names)
    if not section.grid:
        return None, "not asked for: grid = 0"
    if count < SHOWN:
        return None, f"{count} modes lie on a line, a plane needs three"
    try:
        plane = plane_through(np.stack([weight_vector(mode) for mode in list(region.space.vertices)[:SHOWN]]))
    except ValueError as error:
        return None, str(error)
    grid = plane.grid(section.grid, section.margin)
    weights = np.zeros((len(grid), count))
    weights[:, :SHOWN] = plane.mode_weights(grid)
    seen, shape = look(weights), (section.grid, section.grid)
    return LandscapePlane(
        modes=list(region.names[:SHOWN]), coordinates=[(float(x), float(y)) for x, y in plane.coordinates],
        x=grid[: section.grid, 0].tolist(), y=grid[:: section.grid, 1].tolist(),
        loss=seen.losses.mean(axis=1).reshape(shape).tolist(),
        accuracy=seen.correct.mean(axis=1).reshape(shape).tolist(),
    ), ""  # fmt: skip
