"""Losses whose gradients vanish where a network is sure, and one whose gradients cannot: what masking is told by."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import TypeAlias

from torch import Tensor
from torch.nn import functional

Loss: TypeAlias = Callable[[Tensor], Tensor]
SURE = 0.01  # of the label, what is left to the other classes after logits are normalised


def cross_entropy_of_output(labels: Tensor, *, softmax: bool = False, scale: float = 1.0) -> Loss:
    """The cross-entropy in float32, as an attack takes it that knows nothing of the network: logits to (n,).

    Args:
        labels: int64 (n,).
        softmax: whether the network ends in a Softmax, so that its probabilities are taken for logits.
        scale: by which logits are multiplied first.

    >>> import torch
    >>> loss = cross_entropy_of_output(torch.tensor([0]))
    >>> round(float(loss(torch.zeros(1, 2))), 4), float(loss(torch.tensor([[200.0, 0.0]])))  # log 2
    (0.6931, -0.0)
    """

    def loss(logits: Tensor) -> Tensor:
        output = logits.float() * scale
        output = output.softmax(dim=1) if softmax else output
        return functional.cross_entropy(output, labels, reduction="none")

    return loss


def normalised_cross_entropy(labels: Tensor) -> Loss:
    """The cross-entropy of logits multiplied so that the largest has at most .99 of the probability: logits to (n,).

    ``β = log((1 − e)(d − 1) / e) / (max z − min z)`` with e = .01 and d classes, held constant in the gradient: the
    same for logits times any positive number. After Gupta and Ajanthan, AAAI 2022 (arXiv 2003.13511).

    >>> import torch
    >>> loss = normalised_cross_entropy(torch.tensor([0]))
    >>> [round(float(loss(torch.tensor([[scale, 0.0]]))), 4) for scale in (0.1, 1e4)]  # −log .99
    [0.0101, 0.0101]
    """

    def loss(logits: Tensor) -> Tensor:
        wide = logits.double()
        spread = (wide.amax(dim=1) - wide.amin(dim=1)).detach().clamp(min=1e-30)
        factor = log((1 - SURE) * (wide.shape[1] - 1) / SURE) / spread
        return functional.cross_entropy(wide * factor[:, None], labels, reduction="none")

    return loss
