"""How metrics ask a predictor: in batches of one fixed size, so that a sample's figures stand for themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.errors import NotApplicable, NotDifferentiable
from bench.functional.batches import fixed_batches
from bench.functional.dead_gradients import zero_gradients
from bench.functional.divergences import log_mean_probabilities
from bench.graph.arithmetic import arithmetic
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch
    from torch import nn

Gradient = Literal["exact", "straight_through"]
CODES: dict[Gradient, int] = {"exact": 0, "straight_through": 1}
DEAD = 0.05  # share of samples without any gradient from which on nothing is measured by gradients
PARITY_SAMPLES = 64  # on which a view that is not the running thing itself is compared with it
PIXELS = 2**20  # inputs in one batch at most: gradients keep every activation


def batch_size(predictor: Predictor) -> int:
    """Rows computed together, whatever the number of samples: half the predictor's batch, fewer of large inputs.

    A network whose output depends on the batch gets one row at a time.
    """
    if predictor.spec.batch_dependent:
        return 1
    inputs = math.prod(predictor.spec.input.shape)
    return max(1, min(predictor.batch_size // 2, PIXELS // inputs))


def log_probabilities(predictor: Predictor, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log of the members' mean probability (n, classes), float64, of x (n, ...) in the user's bounds."""
    import torch

    parts = []
    for batch in fixed_batches(len(x), batch_size(predictor)):
        logits = predictor.logits(torch.from_numpy(x[batch.rows]))
        parts.append(logits[:, : batch.wanted].numpy())
    return log_mean_probabilities(np.concatenate(parts, axis=1))


def labels_of(samples: Samples) -> NDArray[np.int64]:
    """The labels; without any raises ``NotApplicable``."""
    if samples.y is None:
        raise NotApplicable("needs labels; the data has none")
    return samples.y


class View(NamedTuple):
    """A network one can differentiate, in the user's input space."""

    module: nn.Module
    device: torch.device
    gradient: Gradient
    size: int  # rows computed together

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


@contextmanager
def gradient_view(predictor: Predictor, samples: Samples | None = None) -> Iterator[View]:
    """The predictor's differentiable view, on the predictor's threads.

    Exact gradients of a float network; straight-through ones at the quantisers of a quantised network, whose true
    gradient is zero almost everywhere. A view that is not the running thing itself is first compared with it on the
    first of the samples. Where gradients are zero on more than 5 % of those, what rounds is passed straight through.
    Raises ``NotDifferentiable`` where there is none, where it is another function, or where gradients stay zero.
    """
    import torch

    gradient: Gradient = "straight_through" if predictor.network.quantised else "exact"
    threads: int = getattr(predictor, "threads", predictor.spec.target.threads)  # changing them at every call is slow
    with arithmetic(threads):
        if samples is None:
            yield _view(predictor, predictor.differentiable(gradient=gradient), gradient)
            return
        x = samples.x[:PARITY_SAMPLES]
        predictor.trust(torch.from_numpy(x))
        yield _alive(predictor, gradient, x)


def _view(predictor: Predictor, module: nn.Module, gradient: Gradient) -> View:
    import torch

    tensors = [*module.parameters(), *module.buffers()]
    return View(module, tensors[0].device if tensors else torch.device("cpu"), gradient, batch_size(predictor))


def _asked(predictor: Predictor, module: nn.Module, gradient: Gradient, x: NDArray[np.float32]) -> tuple[View, float]:
    """A view, and the share of samples on which it has no gradient."""
    view = _view(predictor, module, gradient)
    (dead,) = view.each_batch(lambda batch: (zero_gradients(view.module, batch),), x)
    return view, float(dead.mean())


def _alive(predictor: Predictor, gradient: Gradient, x: NDArray[np.float32]) -> View:
    """A view that has gradients on real samples: the usual one, else one that goes straight through what rounds.

    Raises:
        NotDifferentiable: neither has, with the share of samples on which all is zero.
    """
    refusal: NotDifferentiable | None = None
    shares: list[float] = []
    try:
        view, dead = _asked(predictor, predictor.differentiable(gradient=gradient), gradient, x)
        if dead <= DEAD:
            return view
        shares.append(dead)
    except NotDifferentiable as error:
        refusal = error
    try:
        view, dead = _asked(predictor, predictor.straight_through(x), "straight_through", x)
        if dead <= DEAD:
            return view
        shares.append(dead)
    except Exception as error:  # the network's own code may need integers where it rounds
        refusal = refusal or (error if isinstance(error, NotDifferentiable) else None)
    if not shares:
        assert refusal is not None
        raise refusal
    what = f"its gradients are zero on {min(shares):.1%} of {len(x)} samples, at most {DEAD:.0%} may be"
    raise NotDifferentiable(f"{what}: what no gradient reaches is not robust, smooth or explained")


def gradient_named(code: NDArray[Any]) -> Gradient:
    """The kind of gradient behind a stored code.

    >>> gradient_named(np.array(1))
    'straight_through'
    """
    return {number: name for name, number in CODES.items()}[int(code)]
