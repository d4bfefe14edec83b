"""Whether a network's gradients hide its weakness: attacks that know nothing of it beside attacks that do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.attacks.base import Asked, Attack, Found
from bench.attacks.declared import declared_attack
from bench.attacks.starts import uniform_starts
from bench.data.base import Samples
from bench.errors import NotDifferentiable
from bench.functional.attacks.allowed import brought_back
from bench.probes.attack_options import AttackProbe, asked_of, attacked_classes, whose
from bench.probes.base import Context, Observation, PairProbe, probes
from bench.probes.gradient_view import View, dead_gradients, gradient_view, usual_view
from bench.registry import parameters
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch

    Loss: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
    MakeLoss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], Loss]  # of samples and labels

NAIVE = ("plain", "down", "up")  # the cross-entropy of what the network puts out, of logits / 100, and × 100
TARGETS = 2  # wrong classes that targeted attacks aim at
KNOWING = ("adaptive", "normalised", "transferred", "square")
Flags: TypeAlias = NDArray[np.bool_]


@parameters
class MaskingOptions:
    """How far the attacks go, and how long they look."""

    epsilon: Annotated[float, Field(gt=0, description="largest change of a pixel, in the units of the bounds")]
    steps: Annotated[int, Field(ge=1, description="gradient steps of each attack")] = 20
    queries: Annotated[int, Field(ge=1, description="of Square, which needs no gradient")] = 500


@probes.register("masking")
@parameters
class Masking(MaskingOptions, AttackProbe, PairProbe):
    """Samples (n,) that stay right, 1 or 0, under attacks in l_inf of one budget, judged on the network as it runs.

    ``plain_correct``: the cross-entropy of its output by its own gradients, straight-through where it is declared
    quantised; ``targeted_correct``: by the same gradients the difference of two outputs, towards the two nearest wrong
    classes; ``down_correct`` and ``up_correct``: the cross-entropy of logits / 100 and × 100. ``adaptive_correct``:
    Auto-PGD on the log-odds and towards two classes, straight through whatever rounds where the true gradient is dead;
    ``normalised_correct``: logits of one spread; ``transferred_correct``: what Auto-PGD finds on the reference;
    ``square_correct``: without gradients. ``noise_correct``: as many random points as there are steps.
    ``unbounded_correct``: Auto-PGD over the whole range. ``zero_gradient``: whether the plain gradient is zero;
    ``rising``: whether Auto-PGD's loss rose to the end; ``softmax``: whether the network ends in one.
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    arrays: ClassVar[tuple[str, ...]] = (
        "clean_correct", "plain_correct", "targeted_correct", "down_correct", "up_correct", "adaptive_correct",
        "normalised_correct", "transferred_correct", "square_correct", "noise_correct", "unbounded_correct",
        "zero_gradient", "rising", "softmax",
    )  # fmt: skip
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def ask_pair(self, reference: Predictor, variant: Predictor, samples: Samples, context: Context) -> Observation:
        """All attacks, each on every sample that the network gets right."""
        classes = attacked_classes(samples, context)
        asked = asked_of(variant, samples, classes, context, norm="linf", epsilon=self.epsilon, view=None)
        clean = asked.scores(asked.x).argmax(axis=1) == classes
        rows = np.flatnonzero(clean)
        told = {name: clean.copy() for name in self.arrays if name.endswith("_correct")}
        told |= {name: np.zeros(len(clean), dtype=bool) for name in ("zero_gradient", "rising")}
        told["softmax"] = np.full(len(clean), bool(variant.spec.softmax))
        notes: dict[str, object] = {**whose(samples)}
        if rows.size:
            found = self._attacks(reference, variant, asked.take(rows), context, notes)
            for name, flags in found.items():
                told[name][rows] = flags
            if "dead_gradients" in notes and all(flags.all() for name, flags in found.items() if "_correct" in name):
                return Observation({}, notes)  # nothing moves it: neither gradients nor anything without
        return Observation({name: flags.astype(np.uint8) for name, flags in told.items()}, notes)

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive, where no other attack changed a class either."""
        return None if observation.arrays else dead_gradients(observation)

    def _attacks(
        self, reference: Predictor, variant: Predictor, asked: Asked, context: Context, notes: dict[str, object]
    ) -> dict[str, Flags]:
        told: dict[str, Flags] = {}
        auto = declared_attack(f"apgd-ce[steps={self.steps}]", "linf")
        aimed = declared_attack(f"apgd-t[steps={self.steps}]", "linf")
        with gradient_view(variant, context) as view:
            notes |= view.notes()
            told |= self._naive(variant, asked)
            if view.alive:
                own = replace(asked, view=view)
                found = auto.run(own)
                told["adaptive_correct"] = withstood(asked, found)
                for turn in range(TARGETS):
                    told["adaptive_correct"] &= withstood(asked, aimed.run(replace(own, round=turn)))
                told["rising"] = found.flags["rising"]
                told["normalised_correct"] = self._ascended(own, view, _normalised)
                low, high = asked.bounds
                told["unbounded_correct"] = withstood(asked, auto.run(replace(own, epsilon=high - low)), high - low)
        if reference is variant and "adaptive_correct" in told:
            told["transferred_correct"] = told["adaptive_correct"]
        else:
            told["transferred_correct"] = self._transferred(reference, auto, asked, context)
        told["square_correct"] = withstood(asked, declared_attack(f"square[queries={self.queries}]", "linf").run(asked))
        told["noise_correct"] = self._noise(asked)
        return told

    def _naive(self, variant: Predictor, asked: Asked) -> dict[str, Flags]:
        """By an attacker who takes the output for logits, and its own gradient for the way up."""
        softmax = bool(variant.spec.softmax)
        try:
            view = usual_view(variant)
        except NotDifferentiable:
            return {"zero_gradient": np.ones(len(asked.x), dtype=bool)}
        own = replace(asked, view=view)
        told = {"zero_gradient": _zero(view, asked, softmax=softmax)}
        for name, scale in zip(NAIVE, (1.0, 0.01, 100.0), strict=True):
            told[f"{name}_correct"] = self._ascended(own, view, _plain(softmax, scale))
        told["targeted_correct"] = np.ones(len(asked.x), dtype=bool)
        for turn in range(min(TARGETS, asked.classes - 1)):
            told["targeted_correct"] &= self._ascended(own, view, _targeted(view, softmax, turn))
        return told

    def _ascended(self, asked: Asked, view: View, make: MakeLoss) -> Flags:
        """Where projected gradient ascent of a loss leaves the class as it is."""
        from bench.functional.attacks.pgd import pgd

        assert asked.epsilon is not None
        epsilon = asked.epsilon

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return pgd(
                view.module, x, labels, starts, epsilon=epsilon, steps=self.steps, relative_stepsize=2.5 / self.steps,
                bounds=asked.bounds, loss=make(x, labels),
            )[:2]  # fmt: skip

        points = view.each_batch(attack, asked.x, asked.labels, uniform_starts(asked, "masking"))
        return withstood(asked, Found(tuple(points)))

    def _transferred(self, reference: Predictor, auto: Attack, asked: Asked, context: Context) -> Flags:
        """Where what Auto-PGD finds on the reference leaves the class as it is."""
        try:
            with gradient_view(reference, context) as view:
                return withstood(asked, auto.run(replace(asked, view=view)))
        except NotDifferentiable:
            return np.ones(len(asked.x), dtype=bool)

    def _noise(self, asked: Asked) -> Flags:
        """Where as many random points as there are steps leave the class as it is."""
        assert asked.epsilon is not None
        stays = np.ones(len(asked.x), dtype=bool)
        for turn in range(self.steps):
            drawn = uniform_starts(replace(asked, round=turn), "masking.noise")
            points = (asked.x + asked.epsilon * np.sign(drawn)).astype(np.float32)
            stays &= withstood(asked, Found((points,)))
        return stays


def withstood(asked: Asked, found: Found, epsilon: float | None = None) -> Flags:
    """Where the network as it runs keeps the class at every candidate, brought back into the ball: (n,)."""
    radius = asked.epsilon if epsilon is None else epsilon
    assert radius is not None
    stays = np.ones(len(asked.x), dtype=bool)
    for candidate in found.candidates:
        points = brought_back(asked.x, candidate, asked.norm, radius, asked.bounds)
        stays &= asked.scores(points).argmax(axis=1) == asked.labels
    return stays


def _plain(softmax: bool, scale: float) -> MakeLoss:
    def make(x: torch.Tensor, labels: torch.Tensor) -> Loss:
        from bench.functional.attacks.naive_losses import cross_entropy_of_output

        return cross_entropy_of_output(labels, softmax=softmax, scale=scale)

    return make


def _targeted(view: View, softmax: bool, turn: int) -> MakeLoss:
    def make(x: torch.Tensor, labels: torch.Tensor) -> Loss:
        from bench.functional.attacks.target_order import nth_margin

        margin = nth_margin(view.module, x, labels, "linf", turn)
        return (lambda logits: margin(logits.float().softmax(dim=1))) if softmax else margin

    return make


def _normalised(x: torch.Tensor, labels: torch.Tensor) -> Loss:
    from bench.functional.attacks.naive_losses import normalised_cross_entropy

    return normalised_cross_entropy(labels)


def _zero(view: View, asked: Asked, *, softmax: bool) -> Flags:
    """Where the gradient of the plain loss is zero, or not finite, in every input."""
    from bench.functional.attacks.logit_margins import input_gradient_of

    def compute(x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        points = x.detach().clone().requires_grad_()
        value = _plain(softmax, 1.0)(x, labels)(view.module(points))
        return ((input_gradient_of(value, points) == 0).flatten(1).all(dim=1),)

    (zero,) = view.each_batch(compute, asked.x, asked.labels)
    return np.asarray(zero)
