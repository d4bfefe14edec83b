"""Training that depends on its seed alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from bench.errors import UserError
from bench.graph.network import InputSpec
from bench.models.base import Model, Progress, Recipe
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn


class Images(Protocol):
    """What training reads of samples: images (n, channels, height, width) and their labels (n,)."""

    @property
    def x(self) -> NDArray[np.float32]:
        """Images in the user's bounds."""

    @property
    def y(self) -> NDArray[np.int64] | None:
        """Labels, where there are any."""


def _silent(message: str) -> None:
    """Report nothing."""


@contextmanager
def reproducible(*words: str | int) -> Iterator[None]:
    """Give torch's CPU generator a seed of these words and one thread; both are put back afterwards.

    Sums over a batch are cut up by thread, so their last bits, and with them a whole training, depend on the thread
    count. With one thread the result is the same on every machine with the same torch build and the same CPU features.
    """
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed: that would seed the generators of other devices too
        torch.default_generator.manual_seed(derive_seed(*words))
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def initialise(model: Model, declared: InputSpec, seed: int) -> nn.Module:
    """The untrained module of a seed, in eval mode; the global generator is left as it was."""
    with reproducible("initialise", seed):
        return model.build(declared).eval()


def preprocess(x: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """``(x - mean) / std`` per channel of x (n, channels, height, width); untouched for mean 0 and std 1."""
    import torch

    if set(declared.mean) == {0.0} and set(declared.std) == {1.0}:
        return x
    mean = torch.tensor(declared.mean, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
    std = torch.tensor(declared.std, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
    return (x - mean) / std


def train(
    module: nn.Module,
    samples: Images,
    declared: InputSpec,
    recipe: Recipe,
    seed: int,
    progress: Progress = _silent,
) -> nn.Module:
    """Minimise the cross entropy with AdamW and a one-cycle learning rate; returns a trained copy in eval mode.

    Deterministic under the seed: shuffling, dropout and thread count are its own, whatever the global state.

    Args:
        module: where to start; it is not changed.
        samples: labelled images in the user's bounds.
        declared: mean, std and what the output is.
        recipe: epochs, batch, learning rate, weight decay.
        seed: of the shuffling and of dropout.
        progress: told after each epoch.

    Raises:
        UserError: no labelled samples, or the loss stopped being finite.
    """
    import torch

    x, y = labelled_tensors(samples, declared, "training")
    trained = copy.deepcopy(module).requires_grad_(True).train()
    if recipe.epochs == 0:
        return trained.eval()
    with reproducible("train", seed):
        shuffle = torch.Generator().manual_seed(derive_seed("shuffle", seed))
        batches = _batches(len(x), recipe.batch)
        optimiser = torch.optim.AdamW(trained.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=recipe.epochs * len(batches)
        )
        for epoch in range(1, recipe.epochs + 1):
            order = torch.randperm(len(x), generator=shuffle)
            total = 0.0
            for start, stop in batches:
                index = order[start:stop]
                optimiser.zero_grad(set_to_none=True)
                loss = _cross_entropy(trained(x[index]), y[index], declared)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                total += loss.item() * len(index)
            if not total < float("inf"):  # NaN too
                what = f"the loss is not finite in epoch {epoch}"
                raise UserError.at("recipe.learning_rate", what, f"give less than {recipe.learning_rate:g}")
            progress(f"epoch {epoch}/{recipe.epochs}: loss {total / len(x):.4f}")
    trained.zero_grad(set_to_none=True)  # copies of the network need not carry gradients
    return trained.eval()


def labelled_tensors(samples: Images, declared: InputSpec, purpose: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Preprocessed images and their labels; raises ``UserError`` where there are none."""
    import torch

    if len(samples.x) == 0 or samples.y is None:
        what = f"{purpose} needs labelled samples, there are none"
        raise UserError.at("data", what, "give labels and leave samples for training")
    return preprocess(torch.from_numpy(samples.x), declared), torch.from_numpy(samples.y)


def accuracy(module: nn.Module, samples: Images, declared: InputSpec) -> float:
    """Share of samples whose largest output is their label, in [0, 1]; higher is better."""
    import torch

    x, y = labelled_tensors(samples, declared, "accuracy")
    was_training = module.training
    module.eval()
    with reproducible("accuracy"), torch.no_grad():
        found = torch.cat([module(x[start : start + 256]).argmax(dim=1) for start in range(0, len(x), 256)])
    module.train(was_training)
    return int((found == y).sum()) / len(x)


def _batches(n: int, size: int) -> list[tuple[int, int]]:
    """Bounds of the batches; a last batch of one joins the one before, since BatchNorm cannot train on one sample."""
    starts = list(range(0, n, size))
    if len(starts) > 1 and size > 1 and n - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def _cross_entropy(output: torch.Tensor, y: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    import torch
    from torch.nn import functional

    if declared.output == "probabilities":
        return functional.nll_loss(output.clamp_min(torch.finfo(output.dtype).tiny).log(), y)
    return functional.cross_entropy(output, y)
