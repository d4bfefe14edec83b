"""Attacks on the difference of the reference and another network, judged on both as they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.data.base import Samples
from bench.functional.structural_similarity import image_dissimilarity
from bench.probes.attack_options import AttackProbe, attacked_classes, whose
from bench.probes.base import Context, Observation, PairProbe, probes
from bench.probes.difference_views import PairViews, pair_views
from bench.probes.gradient_view import dead_gradients
from bench.probes.input_bounds import check_bounds
from bench.probes.joint_outcomes import CC, CW, JointJudge, Judged
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

Method = Literal["diva", "pgd", "noise"]
Images = NDArray[np.float32]
STREAM: Final = "adversarial.difference"  # label of its random numbers
SMALLEST = 3  # pixels a side of an image that has a structural similarity


@parameters
class DifferenceAttackOptions:
    """The protocol of arXiv 2204.10933, and what it is compared with."""

    epsilon: Annotated[float, Field(gt=0, description="largest change of a pixel, in the units of the bounds")]
    methods: Annotated[
        tuple[Method, ...],
        Field(min_length=1, description="diva, pgd on the variant, noise at as many points; the first is the attack"),
    ] = ("diva", "pgd", "noise")
    objective: Annotated[
        Literal["probability", "logit"], Field(description="whether diva raises probabilities or their logits")
    ] = "probability"
    c: Annotated[float, Field(gt=0, description="weight of the variant in what diva raises")] = 1.0
    step: Annotated[float | None, Field(gt=0, description="of each pixel; an eighth of epsilon by default")] = None
    steps: Annotated[int, Field(ge=1, description="of each attack, without a random start")] = 20
    targeted: Annotated[bool, Field(description="whether the variant shall give its nearest wrong class")] = False
    surrogate: Annotated[
        bool, Field(description="whether diva follows a copy of the variant trained to the reference's answers")
    ] = False

    @model_validator(mode="after")
    def _each_once(self) -> DifferenceAttackOptions:
        """Refuse a method that is named twice."""
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods: {', '.join(self.methods)} names one twice; give each once")
        return self

    @property
    def stepsize(self) -> float:
        """How far a pixel goes in a step."""
        return self.epsilon / 8 if self.step is None else self.step


class Followed(NamedTuple):
    """What one method found on samples that both networks get right, (n, ...) each."""

    first: NDArray[np.int16]  # the step of the first success, from 1; 0: none
    joint_last: NDArray[np.bool_]
    outcome: NDArray[np.uint8]  # at the last iterate
    confidence: NDArray[np.float64]  # (n, 2), of both networks in the label, at the last iterate
    inputs: Images  # the first success, else the last iterate
    zero_gradient: NDArray[np.bool_]  # of the first step


@probes.register("difference-attack")
@parameters
class DifferenceAttack(DifferenceAttackOptions, AttackProbe, PairProbe):
    """Inputs near samples, right in both networks, which the reference still gets right and the other does not.

    A success is judged on both networks as they run, at every iterate. ``clean_outcome`` (n,): 0 both right (CC), 1
    only the reference (CW), 2 only the other (WC), 3 none (WW); ``started`` (n,): it is 0, and only such samples are
    attacked. By method, (n, methods): ``joint_any`` and ``joint_last``, success at any iterate and at the last;
    ``first_step``, 0 without success; ``outcome_last``; ``zero_gradient``, of the first step; ``dissimilarity``, of
    images, DSSIM of the first success, else of the last iterate. ``confidence_change`` (n, methods, 2): of both
    networks in the label, at the last iterate. ``found`` (n, ...) and ``found_classes`` (n, 2): the first method's
    first success and what both networks say of it; the sample itself where there is none.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "clean_outcome", "started", "joint_any", "joint_last", "first_step", "outcome_last", "confidence_change",
        "zero_gradient", "dissimilarity", "found", "found_classes",
    )  # fmt: skip
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True
    needs_background: ClassVar[bool] = True

    def entries(self, inputs: int, classes: int) -> int:
        """Numbers in one sample's row: a picture."""
        return inputs

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """All methods on the samples that both networks get right."""
        bounds = check_bounds(reference, samples.x)
        classes = attacked_classes(samples, context)
        with pair_views(reference, variant, context, surrogate=self.surrogate) as views:
            if (dead := views.dead(samples.x, classes)) is not None:
                return dead
            judge = JointJudge(reference, variant)
            clean = judge.of(samples.x, classes)
            rows = np.flatnonzero(clean.outcome == CC)
            left, right = samples.take(rows), classes[rows]
            found = []
            for method in self.methods if rows.size else ():
                parts = self._attacks(method, views, judge, left, right, context.seed, bounds)
                found.append(Followed._make(np.concatenate(column) for column in zip(*parts, strict=True)))
        arrays = _answers(samples.x, clean, rows, found, len(self.methods), bounds)
        arrays["found_classes"] = judge.of(arrays["found"], classes).classes
        return Observation(arrays, {**views.notes(), **whose(samples)})

    def _attacks(
        self, method: Method, views: PairViews, judge: JointJudge, samples: Samples, labels: NDArray[np.int64],
        seed: int, bounds: tuple[float, float],
    ) -> Iterator[Followed]:  # fmt: skip
        """One method, batch by batch."""
        from bench.functional.attacks.difference import evasive_objective, failing_objective, noise_around, sign_ascent
        from bench.functional.attacks.target_order import nth_target

        for batch in views.batches(len(samples)):
            x, y = samples.x[batch.rows], labels[batch.rows]
            own, targets, aim = views.tensor(y), None, None
            if self.targeted:
                targets = nth_target(views.second, views.tensor(x), own, "linf", 0)
                aim = targets.cpu().numpy()
            iterates: Iterator[tuple[Images, NDArray[np.bool_]]]
            if method == "noise":
                drawn = [generator(STREAM, seed, samples.ids[row]) for row in batch.rows]
                points = noise_around(x, drawn, epsilon=self.epsilon, points=self.steps, bounds=bounds)
                iterates = ((point, np.zeros(len(x), dtype=bool)) for point in points)
            else:
                objective = failing_objective(views.second, own, targets)
                if method == "diva":
                    objective = evasive_objective(
                        views.first, views.second, own, c=self.c, form=self.objective, targets=targets
                    )
                climb = sign_ascent(
                    objective, views.tensor(x), epsilon=self.epsilon, step=self.stepsize, steps=self.steps,
                    bounds=bounds,
                )  # fmt: skip
                iterates = ((each.points.cpu().numpy(), each.zero_gradient.cpu().numpy()) for each in climb)
            followed = follow(judge, iterates, y, aim)
            yield Followed._make(column[: batch.wanted] for column in followed)

    def invalid(self, observation: Observation) -> str | None:
        """The network whose gradients are dead, and how many; None where both have some."""
        reason = dead_gradients(observation)
        return None if reason is None else f"{observation.notes['network']}: {reason}"


def follow(
    judge: JointJudge, iterates: Iterable[tuple[Images, NDArray[np.bool_]]], labels: NDArray[np.int64],
    targets: NDArray[np.int64] | None = None,
) -> Followed:  # fmt: skip
    """Judge every iterate (n, ...) on both networks: the first success, and the last iterate.

    A success is an input that the reference gives its label and the variant another class, the target's where there is
    one. Iterates come with whether the gradient before them was zero, (n,).
    """
    first = np.zeros(len(labels), dtype=np.int16)
    inputs: Images | None = None
    for step, (points, zero) in enumerate(iterates, 1):
        judged = judge.of(points, labels)
        joint = judged.outcome == CW
        if targets is not None:
            joint &= judged.classes[:, 1] == targets
        inputs = points.copy() if inputs is None else inputs
        open_ = first == 0  # until its first success a sample's input is the latest one
        inputs[open_] = points[open_]
        first[open_ & joint] = step
        if step == 1:
            zero_gradient = zero
    assert inputs is not None
    return Followed(first, joint, judged.outcome, judged.confidence, inputs, zero_gradient)


def _answers(
    x: Images, clean: Judged, rows: NDArray[np.intp], found: list[Followed], methods: int, bounds: tuple[float, float]
) -> dict[str, NDArray[Any]]:
    """The probe's arrays; samples that were not attacked have no success and no change."""
    n = len(x)
    arrays: dict[str, NDArray[Any]] = {
        "clean_outcome": clean.outcome,
        "started": (clean.outcome == CC).astype(np.uint8),
        "joint_any": np.zeros((n, methods), dtype=np.uint8),
        "joint_last": np.zeros((n, methods), dtype=np.uint8),
        "first_step": np.zeros((n, methods), dtype=np.int16),
        "outcome_last": np.repeat(clean.outcome[:, None], methods, axis=1),
        "confidence_change": np.zeros((n, methods, 2)),
        "zero_gradient": np.zeros((n, methods), dtype=np.uint8),
        "found": x.astype(np.float32),
    }
    images = x.ndim == 4 and min(x.shape[2:]) >= SMALLEST
    if images:
        arrays["dissimilarity"] = np.zeros((n, methods))
    for number, own in enumerate(found):
        arrays["joint_any"][rows, number] = own.first > 0
        arrays["joint_last"][rows, number] = own.joint_last
        arrays["first_step"][rows, number] = own.first
        arrays["outcome_last"][rows, number] = own.outcome
        arrays["confidence_change"][rows, number] = own.confidence - clean.confidence[rows]
        arrays["zero_gradient"][rows, number] = own.zero_gradient
        if images:
            arrays["dissimilarity"][rows, number] = image_dissimilarity(x[rows], own.inputs, bounds)
    if found:
        success = found[0].first > 0
        arrays["found"][rows[success]] = found[0].inputs[success]
    return arrays
