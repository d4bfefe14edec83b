"""Projected gradient descent on a network, judged on the network itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe, labels_of, probes
from bench.probes.gradient_view import View, dead_gradients, gradient_view
from bench.probes.input_bounds import check_bounds
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch

STREAM = "adversarial.pgd"  # label of its random numbers


def starts(seed: int, ids: tuple[str, ...], restart: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random starts (n, ...) uniform in [-1, 1], each sample's own: the same for every network, batch and order."""
    drawn = [generator(STREAM, seed, sample, restart).uniform(-1.0, 1.0, shape) for sample in ids]
    return np.asarray(drawn, dtype=np.float32).reshape(len(ids), *shape)


def without_default(given: dict[str, Any], name: str, default: Any) -> dict[str, Any]:
    """Parameters without one that came later, where it is at its default.

    >>> without_default({"steps": 20, "targeted": False}, "targeted", False)
    {'steps': 20}
    """
    return {key: value for key, value in given.items() if key != name or value != default}


def _classes(view: View, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """The classes (n,) that the view itself gives."""
    import torch

    def classify(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (view.module(x).argmax(dim=1),)

    (classes,) = view.each_batch(classify, x)
    return classes


@probes.register("pgd")
@parameters
class PGDAttack(Probe):
    """Untargeted projected gradient descent in the maximum norm (arXiv 1706.06083), on foolbox.

    An attack succeeds where the predictor itself misclassifies the last or the strongest iterate of any restart. The
    step follows the sign of the gradient of the log-odds against the label: the sign that the cross-entropy's gradient
    has, without its vanishing on confident samples. Targeted, each restart raises one wrong logit less the label's, the
    nearest class first (MALT, arXiv 2407.02240).
    """

    epsilon: Annotated[float, Field(gt=0, description="largest change of a pixel, in the units of the bounds")]
    steps: Annotated[int, Field(ge=1, description="gradient steps a restart")] = 20
    restarts: Annotated[int, Field(ge=1, description="random starts; one success is enough")] = 1
    relative_stepsize: Annotated[
        float | None, Field(gt=0, description="step as a share of epsilon; 2.5 / steps by default")
    ] = None

    targeted: Annotated[
        bool, Field(description="whether each restart raises one wrong logit, the nearest first, over the label's")
    ] = False

    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    arrays: ClassVar[tuple[str, ...]] = ("clean_correct", "robust_correct", "zero_gradient", "twin_robust_correct")
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """``clean_correct``, ``robust_correct`` and ``zero_gradient`` (n,), 0 or 1.

        Where gradients come from a twin of the network, ``twin_robust_correct`` too: the attack judged on the twin.
        """
        labels = labels_of(samples)
        bounds = check_bounds(predictor, samples.x)
        with gradient_view(predictor, context) as view:
            if not view.alive:
                return view.nothing()
            clean = log_probabilities(predictor, samples.x).argmax(axis=1) == labels
            robust, on_twin, masked = clean.copy(), clean.copy(), np.zeros(len(labels), dtype=bool)
            for restart in range(self.restarts):
                alive = np.flatnonzero(robust)  # what fell already stays fallen
                if not alive.size:
                    break
                left = samples.take(alive)
                drawn = starts(context.seed, left.ids, restart, left.x.shape[1:])
                last, strongest, masked[alive] = self._attack(view, left.x, labels[alive], drawn, bounds, restart)
                for candidate in (last, strongest):
                    robust[alive] &= log_probabilities(predictor, candidate).argmax(axis=1) == labels[alive]
                    if predictor.parity is not None:
                        on_twin[alive] &= _classes(view, candidate) == labels[alive]
        answers = {"clean_correct": clean, "robust_correct": robust, "zero_gradient": masked}
        if predictor.parity is not None:
            answers["twin_robust_correct"] = on_twin
        return Observation({name: flags.astype(np.uint8) for name, flags in answers.items()}, view.notes())

    def parameters(self) -> dict[str, Any]:
        """All parameters; without ``targeted`` where it is off, so that what was measured before keeps its key."""
        return without_default(super().parameters(), "targeted", False)

    def invalid(self, observation: Observation) -> str | None:
        """The reason why no gradient is alive; None where some are."""
        return dead_gradients(observation)

    def _attack(
        self,
        view: View,
        x: NDArray[np.float32],
        labels: NDArray[np.int64],
        drawn: NDArray[np.float32],
        bounds: tuple[float, float],
        restart: int,
    ) -> list[NDArray[Any]]:
        from bench.functional.attacks.pgd import pgd
        from bench.functional.attacks.target_order import nth_margin

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            loss = None
            if self.targeted:
                loss = nth_margin(view.module, x, labels, "linf", restart)
            return pgd(
                view.module,
                x,
                labels,
                starts,
                epsilon=self.epsilon,
                steps=self.steps,
                relative_stepsize=self.stepsize,
                bounds=bounds,
                loss=loss,
            )

        return view.each_batch(attack, x, labels, drawn)

    @property
    def stepsize(self) -> float:
        """The step as a share of epsilon."""
        return 2.5 / self.steps if self.relative_stepsize is None else self.relative_stepsize
