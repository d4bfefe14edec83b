"""Continued training on labels, on the outputs of a teacher, or on both."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from bench.errors import UserError
from bench.functional.attribution_matching import collapsed_map, map_mismatch
from bench.models.base import Schedule
from bench.models.descent import Descent, batches, descend
from bench.models.single_step import single_step
from bench.models.training import fast_layout, lay_out, preprocess, reproducible
from bench.networks.interface import answer_of, by_member, raw_logits, scores_in_training
from bench.networks.memory_layout import keep_contiguous
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    from bench.data.base import Samples
    from bench.networks.network import InputSpec


@dataclass(frozen=True)
class Training:
    """Options of training on: AdamW; ``weight`` of the teacher's part of the loss; how far images are attacked."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    schedule: Schedule
    weight: float = 0.0
    temperature: float = 1.0
    attribution: float = 0.0
    adversarial_epsilon: float = 0.0


def train_on(
    module: nn.Module,
    teacher: nn.Module | None,
    samples: Samples,
    declared: InputSpec,
    training: Training,
    seed: int,
    progress: Callable[[str], None],
) -> nn.Module:
    """A copy trained with the loss ``(1 - w) CE(y, q) + w T^2 KL(p_T || q_T) + v (1 - cos)``, in eval mode.

    p_T and q_T are softmax(logits / T) of the teacher and of the network, Hinton et al., arXiv:1503.02531. With
    w = 1 no label is read. The last part is between attribution maps of both networks, of one draw of expected
    gradients against another image of the batch, in eval mode. The teacher runs in eval mode. Deterministic under the
    seed. With ``adversarial_epsilon`` e the first two parts are on images that one step within e raised them on.

    Raises:
        UserError: no samples, no labels where w < 1, or the loss stopped being finite.
    """
    if len(samples) == 0 or (samples.y is None and training.weight < 1):
        right = "give labels and leave samples for training" + ("; distillation = 1 needs no labels" if teacher else "")
        raise UserError.at("data", "training needs labelled samples, there are none", right)
    given = torch.from_numpy(samples.x)
    x = preprocess(given, declared)
    layout = fast_layout(module, x[:2])
    x = x.contiguous(memory_format=layout)
    y = None if samples.y is None else torch.from_numpy(samples.y)
    trained = copy.deepcopy(module).requires_grad_(True).train()
    with reproducible("train", seed), keep_contiguous(trained):
        taught = None if teacher is None else _answers(teacher, x.contiguous())
        shuffle = torch.Generator().manual_seed(derive_seed("shuffle", seed))
        lay_out(trained, layout)
        matched = None if not training.attribution else AttributionLoss(trained, teacher, x, taught, declared, seed)

        attacks = torch.Generator().manual_seed(derive_seed("attack", seed))

        def of_images(images: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            labels = None if y is None else y[index]
            answer = scores_in_training(trained(images.contiguous(memory_format=layout)))
            return loss_of(answer, labels, None if taught is None else taught[index], declared, training)

        def batch_loss(index: torch.Tensor) -> torch.Tensor:
            images = x[index]
            if training.adversarial_epsilon > 0:
                attacked = single_step(
                    given[index], lambda each: of_images(preprocess(each, declared), index),
                    training.adversarial_epsilon, declared.bounds, attacks,
                )  # fmt: skip
                images = preprocess(attacked, declared)
            loss = of_images(images, index)
            return loss if matched is None else loss + training.attribution * matched(index)

        descent = Descent(training.epochs, training.learning_rate, training.weight_decay, training.schedule)
        descend(trained.parameters(), batch_loss, batches(len(x), training.batch), descent, shuffle, progress)
        lay_out(trained, torch.contiguous_format)
    trained.zero_grad(set_to_none=True)
    return trained.eval()


class AttributionLoss:
    """How far the attributions of a network in training are from its teacher's, batch by batch.

    Explained is the teacher's class. Baselines are the images of the same batch in another order.
    """

    def __init__(
        self,
        trained: nn.Module,
        teacher: nn.Module | None,
        x: torch.Tensor,
        taught: torch.Tensor | None,
        declared: InputSpec,
        seed: int,
    ) -> None:
        assert teacher is not None
        assert taught is not None
        self.trained, self.teacher = trained, copy.deepcopy(teacher).eval().requires_grad_(False)
        self.x, self.declared = x, declared
        self.classes = answer_of(taught, declared).argmax(dim=1)
        self.random = torch.Generator().manual_seed(derive_seed("attribution", seed))

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """The mean of ``1 - cos`` over a batch of indices (n,)."""
        x, target = self.x[index], self.classes[index]
        baseline = x[torch.randperm(len(x), generator=self.random)]
        alpha = torch.rand(len(x), generator=self.random)
        self.trained.eval()
        maps = collapsed_map(self._scores(self.trained), x, baseline, alpha, target, train=True)
        self.trained.train()
        taught = collapsed_map(self._scores(self.teacher), x, baseline, alpha, target, train=False)
        return map_mismatch(maps, taught)

    def _scores(self, module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: answer_of(scores_in_training(module(x)), self.declared)


def loss_of(
    output: torch.Tensor,
    y: torch.Tensor | None,
    taught: torch.Tensor | None,
    declared: InputSpec,
    training: Training,
) -> torch.Tensor:
    """The loss of one batch; ``output`` and ``taught`` (n, classes) are logits, or probabilities where declared.

    Of several members (n, members, classes) each learns from the labels and from the same member of the teacher.

    >>> import torch
    >>> from bench.networks.network import InputSpec
    >>> declared = InputSpec((1, 1, 1), ("a", "b"))
    >>> training = Training(1, 2, 0.1, 0.0, "constant", weight=1.0, temperature=2.0)
    >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * 1.0986123]])  # 1/4, 3/4 at T = 2
    >>> round(float(loss_of(student, None, teacher, declared, training)), 4)  # 4 (log 2 - 0.5623)
    0.5232
    """
    student = raw_logits(output, declared).flatten(0, -2)
    loss = student.new_zeros(())
    if training.weight < 1:
        assert y is not None
        loss = loss + (1 - training.weight) * functional.nll_loss(student.log_softmax(1), by_member(output, y)[1])
    if training.weight > 0:
        assert taught is not None
        at = training.temperature
        told = taught_rows(taught, output, declared)
        p, q = ((logs / at).log_softmax(1) for logs in (told, student))
        loss = loss + training.weight * at**2 * functional.kl_div(q, p, reduction="batchmean", log_target=True)
    return loss


def taught_rows(taught: torch.Tensor, output: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """The teacher's logits for each row of the student: member by member, or all members' answer for one."""
    if taught.ndim == output.ndim:
        return raw_logits(taught, declared).flatten(0, -2)
    return by_member(output, answer_of(taught, declared))[1]


def _answers(teacher: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The teacher's outputs (n, classes), without gradient."""
    fixed = copy.deepcopy(teacher).eval()
    with torch.no_grad():
        return torch.cat([fixed(part) for part in torch.split(x, 256)])
