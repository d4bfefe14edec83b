"""Gradient descent over shuffled batches: the loop that all training shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.errors import UserError
from bench.models.base import Schedule


@dataclass(frozen=True)
class Descent:
    """The optimiser: AdamW with a schedule of the learning rate; ``key`` is what the user calls that rate."""

    epochs: int
    learning_rate: float
    weight_decay: float
    schedule: Schedule = "one-cycle"
    key: str = "learning_rate"


@dataclass
class Epochs:
    """How many times ``descend`` went through the samples that it trains on."""

    passed: int = 0


_COUNTING: ContextVar[Epochs | None] = ContextVar("epochs", default=None)


@contextmanager
def counted_epochs() -> Iterator[Epochs]:
    """Count the epochs of every descent within, one after the other; a descent within another count is in both.

    >>> import torch
    >>> descent, own = Descent(epochs=3, learning_rate=0.1, weight_decay=0.0), torch.Generator().manual_seed(0)
    >>> weight = torch.nn.Parameter(torch.tensor(1.0))
    >>> with counted_epochs() as both, counted_epochs() as inner:
    ...     descend([weight], lambda index: weight.square(), batches(4, 2), descent, own, lambda message: None)
    >>> both.passed, inner.passed
    (3, 3)
    """
    outer, counter = _COUNTING.get(), Epochs()
    token = _COUNTING.set(counter)
    try:
        yield counter
    finally:
        _COUNTING.reset(token)
        if outer is not None:
            outer.passed += counter.passed


class Batch(NamedTuple):
    """A batch by where it starts and stops in an epoch's order."""

    start: int
    stop: int


def batches(n: int, size: int, least: int = 2) -> list[Batch]:
    """Bounds of the batches of n samples; a last one of fewer than ``least`` joins the one before.

    BatchNorm cannot train on one sample, hence two. Where ``size`` itself is less, nothing is joined.

    >>> [tuple(batch) for batch in batches(5, 2)], [tuple(batch) for batch in batches(5, 2, least=1)]
    ([(0, 2), (2, 5)], [(0, 2), (2, 4), (4, 5)])
    """
    starts = list(range(0, n, size))
    if len(starts) > 1 and size >= least > n - starts[-1]:
        starts.pop()
    return [Batch(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=True)]


def descend(
    weights: Iterable[nn.Parameter] | list[dict[str, Any]],
    batch_loss: Callable[[torch.Tensor], torch.Tensor],
    bounds: Sequence[Batch],
    descent: Descent,
    shuffle: torch.Generator,
    progress: Callable[[str], None],
) -> None:
    """Minimise a loss over shuffled batches, in place.

    Args:
        weights: what trains, or the optimiser's groups of it.
        batch_loss: from indices of samples (n,) to the mean loss over them, a scalar with gradient.
        bounds: the batches of every epoch, as from ``batches``.
        descent: epochs, learning rate and its schedule.
        shuffle: the order of every epoch comes from it.
        progress: told after each epoch.

    Raises:
        UserError: the loss stopped being finite.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor(3.0))
    >>> distances = torch.tensor([0.9, 1.1])
    >>> own = torch.Generator().manual_seed(0)
    >>> descent = Descent(epochs=1, learning_rate=0.5, weight_decay=0.0, schedule="constant")
    >>> descend([weight], lambda index: (weight - distances[index]).square().mean(), batches(2, 2), descent, own, print)
    epoch 1/1: loss 4.0100
    >>> round(weight.item(), 4)  # AdamW's first step is the learning rate, against the gradient's sign
    2.5
    """
    count, counter = bounds[-1].stop, _COUNTING.get()
    optimiser = torch.optim.AdamW(weights, lr=descent.learning_rate, weight_decay=descent.weight_decay)
    schedule = _schedule(optimiser, descent, descent.epochs * len(bounds))
    for epoch in range(1, descent.epochs + 1):
        order = torch.randperm(count, generator=shuffle)
        total = 0.0
        for start, stop in bounds:
            index = order[start:stop]
            optimiser.zero_grad(set_to_none=True)
            loss = batch_loss(index)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item() * len(index)
        if not total < float("inf"):  # NaN too
            what = f"the loss is not finite in epoch {epoch}"
            raise UserError.at(descent.key, what, f"give less than {descent.learning_rate:g}")
        if counter is not None:
            counter.passed += 1
        progress(f"epoch {epoch}/{descent.epochs}: loss {total / count:.4f}")


def _schedule(optimiser: torch.optim.Optimizer, descent: Descent, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if descent.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, descent.learning_rate, total_steps=steps)

    def share(step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / steps)) if descent.schedule == "cosine" else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimiser, share)
