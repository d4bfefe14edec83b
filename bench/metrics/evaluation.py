"""How metrics ask a predictor: in batches of one fixed size, so that a sample's figures stand for themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.functional.batches import fixed_batches
from bench.functional.divergences import log_mean_probabilities
from bench.graph.arithmetic import arithmetic
from bench.runtimes.base import Predictor

if TYPE_CHECKING:
    import torch
    from torch import nn

Gradient = Literal["exact", "straight_through"]
CODES: dict[Gradient, int] = {"exact": 0, "straight_through": 1}
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
    first of the samples. Raises ``NotDifferentiable`` where there is none, or where it is another function.
    """
    import torch

    if samples is not None:
        predictor.trust(torch.from_numpy(samples.x[:PARITY_SAMPLES]))
    gradient: Gradient = "straight_through" if predictor.network.quantised else "exact"
    module = predictor.differentiable(gradient=gradient)
    tensors = [*module.parameters(), *module.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    threads: int = getattr(predictor, "threads", predictor.spec.target.threads)  # changing them at every call is slow
    with arithmetic(threads):
        yield View(module, device, gradient, batch_size(predictor))


def gradient_named(code: NDArray[Any]) -> Gradient:
    """The kind of gradient behind a stored code.

    >>> gradient_named(np.array(1))
    'straight_through'
    """
    return {number: name for name, number in CODES.items()}[int(code)]
