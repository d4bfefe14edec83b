"""A network as gradients see it: which view is asked, and whether it has any gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotDifferentiable
from bench.functional.attacks.dead_gradients import zero_gradients
from bench.functional.batches import fixed_batches
from bench.networks.arithmetic import arithmetic
from bench.probes.base import TRIAL, Context, Observation
from bench.probes.batching import batch_size
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch
    from torch import nn

Gradient = Literal["exact", "straight_through"]
DEAD = 0.05  # share of samples without any gradient from which on nothing is measured by gradients


class View(NamedTuple):
    """A network one can differentiate, in the user's input space."""

    module: nn.Module
    device: torch.device
    gradient: Gradient
    size: int  # rows computed together
    dead: float = 0.0  # share of the trial's samples on which it has no gradient
    trial: int = 0  # samples of the trial

    def each_batch(
        self, compute: Callable[..., tuple[torch.Tensor, ...]], *columns: NDArray[Any]
    ) -> list[NDArray[Any]]:
        """Apply ``compute`` to the columns' rows in fixed batches; its tensors, (batch, ...) each, joined again."""
        import torch

        parts = []
        for batch in fixed_batches(len(columns[0]), self.size):
            tensors = [torch.from_numpy(np.ascontiguousarray(column[batch.rows])).to(self.device) for column in columns]
            parts.append([out[: batch.wanted].detach().cpu().numpy() for out in compute(*tensors)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    @property
    def alive(self) -> bool:
        """Whether there is a gradient to follow."""
        return self.dead <= DEAD

    def notes(self) -> dict[str, Any]:
        """The kind of gradient, and where it is dead how far."""
        told: dict[str, Any] = {"gradient": self.gradient}
        return told if self.alive else {**told, "dead_gradients": self.dead, "trial": self.trial}

    def nothing(self) -> Observation:
        """The answer of a view that has no gradient: notes alone, which ``dead_gradients`` puts into words."""
        return Observation({}, self.notes())


def dead_gradients(observation: Observation) -> str | None:
    """Why an answer that was found by gradients means nothing, or None: ``Probe.invalid`` of what uses gradients."""
    share = observation.notes.get("dead_gradients")
    if share is None:
        return None
    what = f"its gradients are zero on {share:.1%} of {observation.notes['trial']} samples, at most {DEAD:.0%} may be"
    return f"{what}: what no gradient reaches is not robust, smooth or explained"


@contextmanager
def gradient_view(predictor: Predictor, context: Context | None = None) -> Iterator[View]:
    """The predictor's differentiable view, on the predictor's threads.

    Exact gradients of a float network; straight-through ones at the quantisers of a quantised network, whose true
    gradient is zero almost everywhere. A view that is not the running thing itself is first compared with it on the
    context's trial. Where gradients are zero on more than 5 % of that, what rounds is passed straight through; a view
    that stays dead says so in ``alive``.
    Raises ``NotDifferentiable`` where there is none, or where it is another function.
    """
    import torch

    gradient: Gradient = "straight_through" if predictor.network.quantised else "exact"
    threads = predictor.threads or predictor.spec.target.threads  # changing them at every call is slow
    with arithmetic(threads):
        if context is None or context.trial is None:
            yield _view(predictor, predictor.differentiable(gradient=gradient), gradient)
            return
        x = np.ascontiguousarray(context.trial[:TRIAL])
        predictor.trust(torch.from_numpy(x))
        yield _most_alive(predictor, gradient, x)


def usual_view(predictor: Predictor) -> View:
    """The view that one would take who knows nothing of rounding: true gradients, but of a quantised network.

    Raises ``NotDifferentiable`` where there is none.
    """
    gradient: Gradient = "straight_through" if predictor.network.quantised else "exact"
    return _view(predictor, predictor.differentiable(gradient=gradient), gradient)


def _view(predictor: Predictor, module: nn.Module, gradient: Gradient) -> View:
    import torch

    tensors = [*module.parameters(), *module.buffers()]
    return View(module, tensors[0].device if tensors else torch.device("cpu"), gradient, batch_size(predictor))


def _tried(predictor: Predictor, module: nn.Module, gradient: Gradient, x: NDArray[np.float32]) -> View:
    """A view that knows on which share of the samples it has no gradient."""
    view = _view(predictor, module, gradient)
    (dead,) = view.each_batch(lambda batch: (zero_gradients(view.module, batch),), x)
    return view._replace(dead=float(dead.mean()), trial=len(x))


def _most_alive(predictor: Predictor, gradient: Gradient, x: NDArray[np.float32]) -> View:
    """The usual view; where it is dead, whichever has more gradients: itself, or one straight through what rounds."""
    refusal: NotDifferentiable | None = None
    views: list[View] = []
    try:
        views.append(_tried(predictor, predictor.differentiable(gradient=gradient), gradient, x))
        if views[0].alive:
            return views[0]
    except NotDifferentiable as error:
        refusal = error
    try:
        views.append(_tried(predictor, predictor.straight_through(x), "straight_through", x))
    except Exception as error:  # the network's own code may need integers where it rounds
        refusal = refusal or (error if isinstance(error, NotDifferentiable) else None)
    if not views:
        assert refusal is not None
        raise refusal
    return min(views, key=lambda view: view.dead)
