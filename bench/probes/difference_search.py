"""Natural images to which the reference and another network give different classes, found by asking both."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.functional.attacks.difference_search import IMAGE_AXES, search_difference
from bench.functional.attacks.natural_mutations import MUTATIONS, mutations_for
from bench.probes.attack_options import AttackProbe, attacked_classes, whose
from bench.probes.base import Context, Observation, PairProbe, probes
from bench.probes.input_bounds import check_bounds
from bench.probes.joint_outcomes import CC, JointJudge
from bench.registry import parameters
from bench.runtimes.base import Predictor

WALKS: Final = ("guided", "random")


@parameters
class DifferenceSearchOptions:
    """How long is searched, and how far images may be changed."""

    queries: Annotated[int, Field(ge=1, description="most questions to both networks for an image, by each walk")] = 100
    total: Annotated[
        float, Field(gt=0, description="most that all mutations make together, in shares of each one's own limit")
    ] = 1.0


@probes.register("difference-search")
@parameters
class DifferenceSearch(DifferenceSearchOptions, AttackProbe, PairProbe):
    """Mutated images on which both networks part, of samples that both get right (after DFLARE, arXiv 2112.02819).

    ``clean_outcome`` (n,): 0 both right, 1 only the reference, 2 only the other, 3 none; ``started`` (n,): it is 0. By
    walk, (n, 2), guided and random: ``parted``, whether an image with two classes was found; ``first_query``, 0
    without; ``outcome``, on it, or on the image of the largest difference; ``total_variation`` there. ``strengths`` (n,
    kinds) and ``found`` (n, ...): how strongly each kind was applied, in shares of its limit, and the image, of the
    guided walk; ``found_classes`` (n, 2): what both networks say of it.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "clean_outcome", "started", "parted", "first_query", "outcome", "total_variation", "strengths", "found",
        "found_classes",
    )  # fmt: skip
    packages: ClassVar[tuple[str, ...]] = ("torch", "scipy", "pillow")
    labelled: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def entries(self, inputs: int, classes: int) -> int:
        """Numbers in one sample's row: a picture."""
        return inputs

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """Both walks from every sample that both networks get right."""
        if samples.x.ndim != IMAGE_AXES:
            raise NotApplicable(f"mutations need images; samples have shape {samples.x.shape[1:]}")
        bounds = check_bounds(reference, samples.x)
        classes = attacked_classes(samples, context)
        judge = JointJudge(reference, variant)
        clean = judge.of(samples.x, classes)
        rows = np.flatnonzero(clean.outcome == CC)
        left, n = samples.take(rows), len(samples)
        arrays: dict[str, NDArray[Any]] = {
            "clean_outcome": clean.outcome,
            "started": (clean.outcome == CC).astype(np.uint8),
            "parted": np.zeros((n, 2), dtype=np.uint8),
            "first_query": np.zeros((n, 2), dtype=np.int64),
            "outcome": np.repeat(clean.outcome[:, None], 2, axis=1),
            "total_variation": np.zeros((n, 2)),
            "strengths": np.zeros((n, len(mutations_for(samples.x.shape[1:])))),
            "found": samples.x.copy(),
            "found_classes": clean.classes.copy(),
        }
        for number, walk in enumerate(WALKS):
            found = search_difference(
                left.x, left.ids, judge.scores, queries=self.queries, guided=walk == "guided", total=self.total,
                seed=context.seed, bounds=bounds,
            )  # fmt: skip
            judged = judge.of(found.images, classes[rows]) if rows.size else clean
            arrays["parted"][rows, number] = found.first_query > 0
            arrays["first_query"][rows, number] = found.first_query
            arrays["outcome"][rows, number] = judged.outcome[: rows.size]
            arrays["total_variation"][rows, number] = found.difference
            if walk == "guided":
                arrays["found"][rows], arrays["strengths"][rows] = found.images, found.shares
                arrays["found_classes"][rows] = judged.classes[: rows.size]
        kinds = [kind.name for kind in mutations_for(samples.x.shape[1:])]
        left_out = [kind.name for kind in MUTATIONS if kind.name not in kinds]
        told = {"left_out": left_out} if left_out else {}
        return Observation(arrays, {"mutations": kinds, **told, **whose(samples)})
