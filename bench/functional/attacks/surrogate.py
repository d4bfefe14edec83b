"""A stand-in for a network that can only be asked: another network trained to its answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from bench.errors import NotApplicable

EPOCHS, BATCH, RATE = 20, 64, 1e-3


class Surrogate(nn.Module):
    """A module with other parameters: the module itself is left as it is."""

    def __init__(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.inner = [module]  # in a list, so that its parameters are not this one's
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) with the parameters of this one."""
        logits: Tensor = functional_call(self.inner[0], self.weights, (x,))
        return logits


class Distilled(NamedTuple):
    """A surrogate, and on which share of the samples it gives the answers' class before and after training."""

    module: Surrogate
    before: float
    after: float


def distilled(
    module: nn.Module,
    x: NDArray[np.float32],
    log_p: NDArray[np.float64],
    random: np.random.Generator,
    *,
    epochs: int = EPOCHS,
    device: torch.device | None = None,
) -> Distilled:
    """Train a copy of a module's parameters to log-probabilities, by the divergence ``KL(p ‖ softmax(module(x)))``.

    Adam with rate .001 on batches of 64, drawn anew in each epoch; the module stays in the mode in which it is.

    Args:
        module: inputs (n, ...) to logits (n, classes).
        x: samples (n, ...).
        log_p: what is learnt, (n, classes), in nats.
        random: the order of the samples.
        epochs: passes over them.
        device: where the module is.

    Raises:
        NotApplicable: the module has no parameters that a gradient reaches, or training diverges.

    >>> linear, x = nn.Linear(1, 2, bias=False), np.array([[-1.0], [1.0]], dtype=np.float32)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[0.01], [0.0]]))
    >>> log_p = np.log([[0.9, 0.1], [0.1, 0.9]])
    >>> made = distilled(linear, x, log_p, np.random.default_rng(0), epochs=100)
    >>> made.before, made.after, round(linear.weight[0, 0].item(), 2)
    (0.0, 1.0, 0.01)
    """
    weights = {name: each.detach().clone().requires_grad_() for name, each in module.named_parameters()
               if each.is_floating_point()}  # fmt: skip
    if not weights:
        raise NotApplicable("a surrogate is trained, and this network's differentiable view has no parameters")
    made = Surrogate(module, weights)
    rows, wanted = (torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in (x, log_p))

    def share() -> float:
        with torch.no_grad():
            same = [made(rows[k : k + BATCH]).argmax(dim=1) == wanted[k : k + BATCH].argmax(dim=1)
                    for k in range(0, len(rows), BATCH)]  # fmt: skip
        return float(torch.cat(same).double().mean())

    before = share()
    optimiser = torch.optim.Adam(weights.values(), lr=RATE)
    for _ in range(epochs):
        for batch in np.split(random.permutation(len(x)), range(BATCH, len(x), BATCH)):
            _descend(made, optimiser, rows[batch], wanted[batch])
    for each in weights.values():
        each.requires_grad_(False)
    return Distilled(made, before, share())


def _descend(made: Surrogate, optimiser: torch.optim.Optimizer, x: Tensor, wanted: Tensor) -> None:
    with torch.enable_grad():
        answered = made(x).double().log_softmax(dim=1)
        loss = nn.functional.kl_div(answered, wanted, reduction="batchmean", log_target=True)
        if not loss.requires_grad:
            raise NotApplicable("a surrogate is trained, and no gradient reaches this network's parameters")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    if not torch.isfinite(loss):
        raise NotApplicable("a surrogate is trained, and its loss is NaN or infinite")
    optimiser.step()
