"""Two networks as gradients see them together; a surrogate may stand for the reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotApplicable, NotDifferentiable
from bench.functional.batches import Batch, fixed_batches
from bench.probes.base import Context, Observation
from bench.probes.gradient_view import View, gradient_view
from bench.probes.logits import log_probabilities
from bench.runtimes.base import Predictor
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, eq=False)
class PairViews:
    """The differentiable views of a pair; ``first`` may be a surrogate of the reference."""

    first: nn.Module
    second: nn.Module
    views: dict[str, View]  # by role, those that were opened
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def variant(self) -> View:
        """The variant's own view."""
        return self.views["variant"]

    def batches(self, n: int) -> Iterator[Batch]:
        """Rows computed together: as many as both views take."""
        return fixed_batches(n, min(view.size for view in self.views.values()))

    def tensor(self, column: NDArray[Any]) -> torch.Tensor:
        """Rows on the device of the views."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(column)).to(self.variant.device)

    def notes(self) -> dict[str, Any]:
        """The kinds of gradients, and how well a surrogate agrees."""
        return {"gradients": {role: view.gradient for role, view in self.views.items()}, **self.told}

    def dead(self, x: NDArray[np.float32], labels: NDArray[np.int64]) -> Observation | None:
        """The answer where a view has no gradient: notes alone; None where both have some.

        Raises:
            NotApplicable: the gradients of that view at the samples x (n, ...) are NaN.
        """
        for role, view in self.views.items():
            if not view.alive:
                self._refuse_nan(role, view, x, labels)
                return Observation({}, {**view.notes(), "network": role})
        return None

    def _refuse_nan(self, role: str, view: View, x: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        from bench.functional.attacks.difference import failing_objective, sign_ascent

        batch = next(self.batches(len(x)))
        raised = failing_objective(view.module, self.tensor(labels[batch.rows]))
        try:
            next(sign_ascent(raised, self.tensor(x[batch.rows]), epsilon=1.0, step=1.0, steps=1, bounds=(0.0, 1.0)))
        except NotApplicable as error:
            raise NotApplicable(f"{role}: {error}") from error


@contextmanager
def pair_views(
    reference: Predictor, variant: Predictor, context: Context, *, surrogate: bool = False
) -> Iterator[PairViews]:
    """The views of both networks, each compared with what runs; or the variant's and a surrogate of the reference.

    The surrogate is a copy of the variant's view trained on the background to the reference's answers.
    Raises ``NotDifferentiable`` with the network's role, and ``NotApplicable`` where nothing can be trained.
    """
    with _named(variant, context, "variant") as second:
        if surrogate:
            first, told = _stand_in(reference, second, context)
            yield PairViews(first, second.module, {"variant": second}, told)
            return
        with _named(reference, context, "reference") as own:
            yield PairViews(own.module, second.module, {"reference": own, "variant": second})


@contextmanager
def _named(predictor: Predictor, context: Context, role: str) -> Iterator[View]:
    """A view, whose refusal names the network's role."""
    manager = gradient_view(predictor, context)
    try:
        view = manager.__enter__()
    except NotDifferentiable as error:
        raise NotDifferentiable(f"{role}: {error}") from error
    try:
        yield view
    finally:
        manager.__exit__(None, None, None)


def _stand_in(reference: Predictor, second: View, context: Context) -> tuple[nn.Module, dict[str, Any]]:
    from bench.functional.attacks.surrogate import distilled

    background = context.background
    if background is None or not len(background.x):
        raise NotApplicable("a surrogate is trained on the calibration split, and there is none")
    random = generator("adversarial.difference.surrogate", context.seed)
    answers = log_probabilities(reference, background.x)
    made = distilled(second.module, background.x, answers, random, device=second.device)
    agreement = {"before": made.before, "after": made.after, "samples": len(background.x), "split": background.split}
    return made.module, {"surrogate_agreement": agreement}
