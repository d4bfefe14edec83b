"""Training of reference networks, reproducible from the seed."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from bench.errors import UserError
from bench.models.augmentation import augment
from bench.models.base import Model, Progress, Recipe, Schedule, check_recipe
from bench.models.descent import Descent, batches, descend
from bench.models.lipschitz_margin import LipschitzMargin
from bench.models.single_step import single_step
from bench.networks.interface import answer_of, by_member, scores_in_training, to_network, to_outputs
from bench.networks.materialise import made_weights
from bench.networks.memory_layout import keep_contiguous, needs_contiguous
from bench.networks.network import InputSpec
from bench.stats.streams import derive_seed

STREAMS = ("shuffle", "augmentation", "attack")  # each with a generator of its own


LossOf: TypeAlias = Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Images(Protocol):
    """Training data: images (n, channels, height, width) and their labels (n,)."""

    @property
    def x(self) -> NDArray[np.float32]:
        """Images in the user's bounds."""

    @property
    def y(self) -> NDArray[np.int64] | None:
        """Labels, where there are any."""


@dataclass(frozen=True)
class Additions:
    """What a training does beside its recipe.

    ``penalty`` is added to the loss of every batch; ``project`` changes the weights in place before every step and
    after the last; ``each_epoch`` looks at the network after each; ``key`` is what the user calls the learning rate.
    ``loss_of`` takes the place of the cross entropy: the module, preprocessed samples, their labels and their places
    among the training samples to the mean loss.
    """

    schedule: Schedule = "one-cycle"
    penalty: Callable[[nn.Module], torch.Tensor] | None = None
    project: Callable[[nn.Module], None] | None = None
    each_epoch: Callable[[nn.Module], None] | None = None
    key: str = "recipe.learning_rate"
    loss_of: LossOf | None = None


PLAIN = Additions()


def _silent(message: str) -> None:
    """Report nothing."""


@contextmanager
def reproducible(*words: str | int, threads: int = 1) -> Iterator[None]:
    """Give torch's CPU generator a seed of these words and a fixed number of threads; both are put back afterwards.

    Sums over a batch are cut up by thread, so their last bits, and with them a whole training, depend on the thread
    count. With a fixed count the result is the same on every machine with the same torch build and the same CPU
    features, however many cores it has.
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed: that would seed the generators of other devices too
        torch.default_generator.manual_seed(derive_seed(*words))
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def initialise(model: Model, declared: InputSpec, seed: int) -> nn.Module:
    """The untrained module of a seed, in eval mode; the global generator is left as it was.

    Raises:
        UserError: the architecture computes weights before each pass: steps would take the last ones for weights.
    """
    model.check(declared)
    with reproducible("initialise", seed):
        module = model.build(declared).eval()
    if computed := made_weights(module):
        right = "build it without, or train it elsewhere and hand it over with factory and checkpoint"
        raise UserError.at(
            "reference.model", f"{model.name!r} computes weights before each pass ({computed[0]})", right
        )
    return module


def preprocess(x: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """``(scale x - mean) / std`` of x (n, channels, height, width), in the network's layout and dtype."""
    return to_network(x, declared)


def train(
    module: nn.Module,
    samples: Images,
    declared: InputSpec,
    recipe: Recipe,
    seed: int,
    progress: Progress = _silent,
    additions: Additions = PLAIN,
) -> nn.Module:
    """Minimise the cross entropy, or another loss, by the recipe; returns a trained copy in eval mode.

    Deterministic under the seed: shuffling, augmentation, attacks, dropout and thread count are its own, whatever the
    global state. Convolutions run with channels last in memory where they can, which is faster: the same sums in
    another order. Weights come back contiguous.

    Args:
        module: where to start; it is not changed.
        samples: labelled images in the user's bounds.
        declared: bounds, mean, std and what the output is.
        recipe: epochs, batch, learning rate and the like.
        seed: of everything random.
        progress: told after each epoch.
        additions: another schedule, a further loss, constraints of the weights.

    Raises:
        UserError: no labelled samples, attacks on uint8 pixels, shifts of what is no image, or the loss stopped being
            finite.
    """
    check_recipe(recipe, declared, "recipe")
    if recipe.adversarial_epsilon > 0 and declared.dtype == "uint8":
        what = "whole-number pixels give no gradient to attack with"
        raise UserError.at("recipe.adversarial_epsilon", what, "leave it out")
    x, y = labelled_tensors(samples, declared, "training", preprocessed=False)
    trained = copy.deepcopy(module).requires_grad_(True).train()
    if recipe.epochs == 0:
        return trained.eval()
    with reproducible("train", seed, threads=recipe.threads), keep_contiguous(trained):
        steps = batches(len(x), recipe.batch)
        margin = None
        if recipe.lipschitz_margin > 0:  # it reads the layers, which another order in memory hides
            margin = LipschitzMargin(trained, x[:1], declared, recipe, len(steps), seed)
        layout = fast_layout(trained, preprocess(x[:2], declared))
        lay_out(trained, layout)
        draws = {word: torch.Generator().manual_seed(derive_seed(word, seed)) for word in STREAMS}
        loss = _batch_loss(trained, declared, recipe, layout, draws, margin, additions.loss_of)

        def batch_loss(index: torch.Tensor) -> torch.Tensor:
            if additions.project is not None:
                additions.project(trained)
            value = loss(x[index], y[index], index)
            return value if additions.penalty is None else value + additions.penalty(trained)

        def told(line: str) -> None:
            if additions.project is not None:
                additions.project(trained)
            if additions.each_epoch is not None:
                additions.each_epoch(trained)
            progress(line)

        rate, decay = recipe.learning_rate, recipe.weight_decay
        descent = Descent(recipe.epochs, rate, decay, additions.schedule, additions.key)
        descend(trained.parameters(), batch_loss, steps, descent, draws["shuffle"], told)
        if margin is not None:
            margin.close()
    lay_out(trained, torch.contiguous_format)
    trained.zero_grad(set_to_none=True)  # copies of the network need not carry gradients
    return trained.eval()


def _batch_loss(
    module: nn.Module,
    declared: InputSpec,
    recipe: Recipe,
    layout: torch.memory_format,
    draws: Mapping[str, torch.Generator],
    margin: LipschitzMargin | None,
    loss_of: LossOf | None = None,
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss on images in the user's bounds, labels and their places, augmented and attacked as the recipe says."""

    def loss(x: torch.Tensor, y: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        given = preprocess(x, declared).contiguous(memory_format=layout)
        if loss_of is not None:
            return loss_of(module, given, y, index)
        output = scores_in_training(module(given))
        output = output if margin is None else margin(output, y)
        return cross_entropy(output, y, declared, recipe.label_smoothing)

    def changed_loss(x: torch.Tensor, y: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        x = augment(x, recipe.augmentation, declared.bounds[0], draws["augmentation"])
        if recipe.adversarial_epsilon > 0:
            attacked = functools.partial(loss, y=y, index=index)
            x = single_step(x, attacked, recipe.adversarial_epsilon, declared.bounds, draws["attack"])
        return loss(x, y, index)

    return changed_loss


def fast_layout(module: nn.Module, x: torch.Tensor) -> torch.memory_format:
    """Channels last where a convolution gains from it, unless the network may not run on it or cannot (a ``view``)."""
    if needs_contiguous(module) or not any(isinstance(part, nn.Conv2d) for part in module.modules()):
        return torch.contiguous_format
    trial = copy.deepcopy(module).eval()
    lay_out(trial, torch.channels_last)
    try:
        with torch.no_grad():
            trial(x.contiguous(memory_format=torch.channels_last))
    except RuntimeError:
        return torch.contiguous_format
    return torch.channels_last


def lay_out(module: nn.Module, layout: torch.memory_format) -> None:
    """Order the weights of two-dimensional convolutions in memory, in place."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def labelled_tensors(
    samples: Images, declared: InputSpec, purpose: str, *, preprocessed: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, preprocessed or in the user's bounds, and their labels; raises ``UserError`` where there are none."""
    if len(samples.x) == 0 or samples.y is None:
        what = f"{purpose} needs labelled samples, there are none"
        raise UserError.at("data", what, "give labels and leave samples for training")
    x = torch.from_numpy(samples.x)
    y = to_outputs(torch.from_numpy(samples.y), declared)
    return preprocess(x, declared) if preprocessed else x, y


def accuracy(module: nn.Module, samples: Images, declared: InputSpec) -> float:
    """Share of samples whose largest output is their label, in [0, 1]; higher is better."""
    x, y = labelled_tensors(samples, declared, "accuracy")
    was_training = module.training
    module.eval()
    with reproducible("accuracy"), torch.no_grad():
        parts = [answer_of(module(x[start : start + 256]), declared) for start in range(0, len(x), 256)]
        predicted = torch.cat(parts).argmax(dim=1)
    module.train(was_training)
    return int((predicted == y).sum()) / len(x)


def cross_entropy(output: torch.Tensor, y: torch.Tensor, declared: InputSpec, smoothing: float = 0.0) -> torch.Tensor:
    """Mean of ``-(1 - s) log p_y - s / K sum_k log p_k``, from logits or, where they are declared, probabilities.

    Of several members the mean of each one's own.
    """
    output, y = by_member(output, y)
    if declared.output == "logits":
        return functional.cross_entropy(output, y, label_smoothing=smoothing)
    logs = output.clamp_min(torch.finfo(output.dtype).tiny).log()
    loss = functional.nll_loss(logs, y)
    return loss if smoothing == 0 else (1 - smoothing) * loss - smoothing * logs.mean()
