"""Attacks on the difference of two networks: inputs that one of them still gets right and the other does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import NotApplicable
from bench.functional.attacks.logit_margins import negative_log_odds

Objective: TypeAlias = Callable[[Tensor], Tensor]  # inputs (n, ...) to what is raised (n,)
Form: TypeAlias = Literal["probability", "logit"]

AIM = 100.0  # weight of the cross-entropy of a target, of the paper


class Iterate(NamedTuple):
    """The inputs after one step (n, ...), and whether the gradient that led there was zero everywhere (n,)."""

    points: Tensor
    zero_gradient: Tensor


def evasive_objective(
    reference: nn.Module,
    variant: nn.Module,
    labels: Tensor,
    *,
    c: float = 1.0,
    form: Form = "probability",
    targets: Tensor | None = None,
) -> Objective:
    """What DIVA raises: ``p_ref(x)[y] − c · p_var(x)[y]``; towards a class t ``− 100 · CE(onehot t, p_var(x))`` too.

    In the form of logits ``logit(p) = log(p / (1 − p))`` stands for each p: where both networks are sure, the
    gradients of their probabilities vanish, and those of logits do not. Everything after the networks' own logits is
    in float64. Source: DIVA, arXiv 2204.10933; the form of logits is ours.

    Args:
        reference: inputs (n, ...) to logits (n, classes): the network that shall stay right.
        variant: the same of the network that shall fail.
        labels: the class y, int64 (n,).
        c: weight of the variant, above 0.
        form: of probabilities, as published, or of their logits.
        targets: the class t that the variant shall give, int64 (n,); any wrong one where there is none.

    >>> one, two = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = one.weight.copy_(torch.tensor([[2.0], [0.0]])), two.weight.copy_(torch.tensor([[0.5], [0.0]]))
    >>> x, labels = torch.ones(1, 1), torch.tensor([0])
    >>> evasive_objective(one, two, labels, form="logit")(x).tolist()  # 2 − 0.5
    [1.5]
    >>> round(evasive_objective(one, two, labels)(x).item(), 6)  # 1 / (1 + e^−2) − 1 / (1 + e^−0.5)
    0.258338
    """

    def held(logits: Tensor) -> Tensor:
        odds = torch.neg(negative_log_odds(logits, labels))
        return odds if form == "logit" else odds.sigmoid()

    def objective(x: Tensor) -> Tensor:
        other: Tensor = variant(x)
        value = held(reference(x)) - c * held(other)
        if targets is None:
            return value
        aim = other.double().log_softmax(dim=1).gather(1, targets[:, None])[:, 0]
        return torch.add(value, aim, alpha=AIM)

    return objective


def failing_objective(variant: nn.Module, labels: Tensor, targets: Tensor | None = None) -> Objective:
    """What an attack on the variant alone raises: its cross-entropy, or towards a class t the negative one of t.

    The log-odds against the class stand for the cross-entropy: the same signs of gradients without their vanishing.

    >>> linear = nn.Linear(1, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0], [0.5]]))
    >>> failing_objective(linear, torch.tensor([0]))(torch.ones(1, 1)).tolist()
    [-1.5]
    """
    if targets is None:
        return lambda x: negative_log_odds(variant(x), labels)
    return lambda x: -negative_log_odds(variant(x), targets)


def sign_ascent(
    objective: Objective, x: Tensor, *, epsilon: float, step: float, steps: int, bounds: tuple[float, float]
) -> Iterator[Iterate]:
    """Every iterate of ``x ← clip(x₀ + clip(x + α sign ∇J(x) − x₀, −ε, ε), low, high)`` from ``x₀``, which is not one.

    Nothing is random. Source: DIVA, arXiv 2204.10933; projected gradient ascent, arXiv 1706.06083.

    Args:
        objective: inputs (n, ...) to J (n,), each of its own input alone.
        x: samples (n, ...) within the bounds.
        epsilon: largest change of a value, above 0.
        step: α, above 0.
        steps: how many, at least 1.
        bounds: lowest and highest value.

    Raises:
        NotApplicable: a gradient is NaN or infinite.

    >>> rising = sign_ascent(lambda x: x.sum(dim=1), torch.zeros(1, 1), epsilon=0.5, step=0.25, steps=3, bounds=(0, 1))
    >>> [iterate.points.tolist() for iterate in rising]
    [[[0.25]], [[0.5]], [[0.5]]]
    """
    low, high = bounds
    current = x
    for number in range(1, steps + 1):
        points = current.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = objective(points)
            gradient = torch.zeros_like(points)
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value.sum(), points)
        flat = gradient.flatten(1)
        if broken := int((~flat.isfinite()).any(dim=1).sum()):
            raise NotApplicable(
                f"gradients of {broken} of {len(x)} samples of a batch are NaN or infinite in step {number}"
            )
        change = torch.clamp(current + step * torch.sign(gradient) - x, -epsilon, epsilon)
        current = torch.clamp(x + change, low, high).detach()
        yield Iterate(current, (flat == 0).all(dim=1))


def noise_around(
    x: NDArray[np.float32],
    generators: Sequence[np.random.Generator],
    *,
    epsilon: float,
    points: int,
    bounds: tuple[float, float],
) -> Iterator[NDArray[np.float32]]:
    """Random points, uniform in the box ``[x − ε, x + ε]`` and cut off at the bounds: ``points`` times (n, ...).

    Each sample has a generator of its own. With as many points as an attack has steps both are judged as often.

    >>> drawn = noise_around(np.zeros((1, 3)), [np.random.default_rng(0)], epsilon=0.5, points=2, bounds=(0.0, 1.0))
    >>> [bool(((0 <= point) & (point <= 0.5)).all()) for point in drawn]
    [True, True]
    """
    for _ in range(points):
        away = np.stack([random.uniform(-epsilon, epsilon, x.shape[1:]) for random in generators])
        yield np.clip(x + away, *bounds).astype(np.float32)
