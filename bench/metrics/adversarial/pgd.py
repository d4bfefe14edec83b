"""How a network withstands projected gradient attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.errors import UserError
from bench.metrics.base import Arrays, Change, Family, Float, Metric, Observing, Quality, Value, Weights, metrics
from bench.metrics.evaluation import CODES, View, gradient_named, gradient_view, labels_of, log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.proportions import PairedTable, paired_difference
from bench.stats.resampling import resampled_means
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch


def _errors(arrays: Arrays) -> Float:
    return 1.0 - arrays["robust_correct"].astype(np.float64)


def _robust_error(arrays: Arrays, weights: Weights) -> Float:
    return resampled_means(_errors(arrays), weights)


def _verdict_flips(a: Arrays, b: Arrays) -> Float:
    return np.asarray(a["robust_correct"] != b["robust_correct"], dtype=np.float64)


def _classes(view: View, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """The classes (n,) that the view itself gives."""
    import torch

    def classify(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (view.module(x).argmax(dim=1),)

    (classes,) = view.each_batch(classify, x)
    return classes


def starts(name: str, seed: int, ids: tuple[str, ...], restart: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random starts (n, ...) uniform in [-1, 1], each sample's own: the same for every network, batch and order."""
    drawn = [generator(name, seed, sample, restart).uniform(-1.0, 1.0, shape) for sample in ids]
    return np.asarray(drawn, dtype=np.float32).reshape(len(ids), *shape)


@metrics.register("adversarial.pgd")
@parameters
class ProjectedGradientDescent(Metric):
    """Untargeted projected gradient descent in the maximum norm (arXiv 1706.06083), on foolbox.

    ``robust_error``: share of all samples that are wrong before or under the attack. ``verdict_flip_rate``: share of
    samples that one network holds and the other does not. An attack succeeds where the predictor itself misclassifies
    the last or the strongest iterate of any restart. The step follows the sign of the gradient of the log-odds
    against the label: the sign that the cross-entropy's gradient has, without its vanishing on confident samples.
    """

    epsilon: Annotated[float, Field(gt=0, description="largest change of a pixel, in the units of the bounds")]
    steps: Annotated[int, Field(ge=1, description="gradient steps a restart")] = 20
    restarts: Annotated[int, Field(ge=1, description="random starts; one success is enough")] = 1
    relative_stepsize: Annotated[
        float | None, Field(gt=0, description="step as a share of epsilon; 2.5 / steps by default")
    ] = None

    family: ClassVar[Family] = "adversarial"
    packages: ClassVar[tuple[str, ...]] = ("torch", "foolbox")
    labelled: ClassVar[bool] = True
    gradients: ClassVar[bool] = True
    headline: ClassVar[str | None] = "verdict_flip_rate"
    values: ClassVar[tuple[Value, ...]] = (
        Change("verdict_flip_rate", _verdict_flips, power=1, unit="proportion", count=True, largest=1.0),
        Quality(
            "robust_error",
            _robust_error,
            better="lower",
            unit="proportion",
            interval="score",
            per_sample=_errors,
            largest=1.0,
        ),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``clean_correct``, ``robust_correct`` and ``zero_gradient`` (n,), 0 or 1.

        Where gradients come from a twin of the network, ``twin_robust_correct`` too: the attack judged on the twin.
        """
        labels = labels_of(samples)
        low, high = predictor.spec.input.bounds
        if samples.x.min() < np.float32(low) or samples.x.max() > np.float32(high):
            raise UserError.at("data", "pixels lie outside the declared bounds", f"values from {low} to {high}")
        clean = log_probabilities(predictor, samples.x).argmax(axis=1) == labels
        robust, on_twin, masked = clean.copy(), clean.copy(), np.zeros(len(labels), dtype=bool)
        with gradient_view(predictor, samples) as view:
            for restart in range(self.restarts):
                alive = np.flatnonzero(robust)  # what fell already stays fallen
                if not alive.size:
                    break
                left = samples.take(alive)
                drawn = starts(self.name, observing.seed, left.ids, restart, left.x.shape[1:])
                last, strongest, masked[alive] = self._attack(view, left.x, labels[alive], drawn, (low, high))
                for candidate in (last, strongest):
                    robust[alive] &= log_probabilities(predictor, candidate).argmax(axis=1) == labels[alive]
                    if predictor.parity is not None:
                        on_twin[alive] &= _classes(view, candidate) == labels[alive]
        shown = {"clean_correct": clean, "robust_correct": robust, "zero_gradient": masked}
        if predictor.parity is not None:
            shown["twin_robust_correct"] = on_twin
        arrays: dict[str, NDArray[Any]] = {name: flags.astype(np.uint8) for name, flags in shown.items()}
        return {**arrays, "gradient": np.array(CODES[view.gradient])}

    def _attack(
        self,
        view: View,
        x: NDArray[np.float32],
        labels: NDArray[np.int64],
        drawn: NDArray[np.float32],
        bounds: tuple[float, float],
    ) -> list[NDArray[Any]]:
        from bench.functional.linf_pgd import linf_pgd

        def attack(x: torch.Tensor, labels: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return linf_pgd(
                view.module,
                x,
                labels,
                starts,
                epsilon=self.epsilon,
                steps=self.steps,
                relative_stepsize=self._stepsize(),
                bounds=(float(np.float32(bounds[0])), float(np.float32(bounds[1]))),
            )

        return view.each_batch(attack, x, labels, drawn)

    def _stepsize(self) -> float:
        return 2.5 / self.steps if self.relative_stepsize is None else self.relative_stepsize

    def protocol(self) -> dict[str, Any]:
        """Attack, budget, and what counts as a success."""
        return {
            **super().protocol(),
            "relative_stepsize": self._stepsize(),
            "norm": "linf",
            "start": "uniform, keyed by sample and restart",
            "success": "last or strongest iterate of any restart; clean mistakes count as errors",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Clean error, share of attacked samples whose first gradient was exactly zero, and the kind of gradient.

        Of a network attacked through its twin: the success on the session and on the twin among the samples that were
        right, and their paired difference with its 95 % score interval.
        """
        attacked = max(1, int(arrays["clean_correct"].sum()))
        found: dict[str, Any] = {
            "gradient": gradient_named(arrays["gradient"]),
            "clean_error": float(1.0 - arrays["clean_correct"].mean()),
            "zero_gradient_share": float(arrays["zero_gradient"].sum() / attacked),
        }
        right = arrays["clean_correct"].astype(bool)
        if "twin_robust_correct" in arrays and right.any():
            twin, session = (
                1.0 - arrays[name][right].astype(np.float64) for name in ("twin_robust_correct", "robust_correct")
            )
            table = PairedTable.of(twin, session)
            limits = paired_difference(table)
            found["success"] = {
                "session": float(session.mean()),
                "twin": float(twin.mean()),
                "difference": table.difference,
                "ci": [limits.low, limits.high],
            }
        return found
