"""Step ``weight-noise``: the control that damages a network without compressing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.registry import parameters
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch
    from torch import nn

FIRST, LAST = 1e-3, 64.0  # sigmas between which a loss is looked for
HALVINGS = 24
MATCHED = 10_000  # samples at most: the difference of two accuracies is then known to about 0.1 points


class _Try(NamedTuple):
    sigma: float
    loss: float


@steps.register("weight-noise")
@parameters
class WeightNoise(Step):
    """Add Gaussian noise to the weights: ``W' = W + sigma std(W) Z`` for every tensor of two dimensions or more.

    Give either ``sigma`` or ``accuracy_loss``; the latter scales one fixed Z by bisection until the accuracy on the
    labelled training and calibration samples (the first 10,000) has fallen by that much. Evaluation samples are never
    looked at. To match another variant, give the loss that its own steps record or that a run has measured for it.
    """

    sigma: Annotated[float | None, Field(gt=0, description="noise relative to each tensor's standard deviation")] = None
    accuracy_loss: Annotated[
        float | None, Field(gt=0, lt=1, description="accuracy to lose on training and calibration samples")
    ] = None
    seed: Seed = 0

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[Need]] = frozenset({"train", "calibration"})
    control: ClassVar[bool] = True
    takes_torchscript: ClassVar[bool] = True
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "its weights lie on a grid; add noise before quantising",
        "onnx": "it changes torch modules; add noise before exporting",
        "onnx-quantised": "it changes torch modules; add noise before exporting",
    }

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.sigma is None) == (self.accuracy_loss is None):
            raise ValueError("give either sigma or accuracy_loss")
        return self

    def demands(self) -> frozenset[Need]:
        """``sigma`` looks at no sample, ``accuracy_loss`` at whatever is labelled."""
        return frozenset()

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Add the noise.

        Raises:
            UserError: an accuracy loss is asked and there are no labels.
            NotApplicable: no sigma comes near the accuracy loss.
        """
        assert isinstance(network, TorchNetwork)
        noise = _noise(network.module, own_seed(context.seed, self.seed))
        if self.sigma is not None:
            return TorchNetwork(_noisy(network.module, noise, self.sigma), network.input), {"sigma": self.sigma}
        assert self.accuracy_loss is not None
        samples = _labelled(context)
        matched = _match(network.module, noise, samples, network.input, self.accuracy_loss)
        record = {"sigma": matched.sigma, "accuracy_loss": matched.loss, "samples": len(samples)}
        return TorchNetwork(_noisy(network.module, noise, matched.sigma), network.input), record


def tolerance(n: int) -> float:
    """The largest miss of the asked accuracy loss by a match on n samples: 0.5 points, or two samples."""
    return max(0.005, 2 / n)


def _noise(module: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """std(W) Z for each weight tensor, Z keyed by the tensor's name."""
    import torch

    noise = {}
    for name, parameter in module.named_parameters():
        if parameter.ndim >= 2:
            z = generator("weight-noise", seed, name).standard_normal(tuple(parameter.shape))
            scaled = z * float(parameter.detach().double().std(correction=0))
            noise[name] = torch.from_numpy(scaled).to(parameter.dtype)
    if not noise:
        raise NotApplicable("the network has no weight tensors to add noise to")
    return noise


def _noisy(module: nn.Module, noise: dict[str, torch.Tensor], sigma: float) -> nn.Module:
    import torch

    from bench.networks.torchscript import copied

    made = copied(module).eval()
    parameters_by_name = dict(made.named_parameters())
    with torch.no_grad():
        for name, scaled in noise.items():
            parameters_by_name[name].add_(scaled, alpha=sigma)
    return made


def _labelled(context: StepContext) -> Samples:
    """Training and calibration samples together, the first ``MATCHED`` of them."""
    parts = [part for part in (context.train, context.calibration) if len(part) and part.y is not None]
    if not parts:
        what = "accuracy_loss needs labelled training or calibration samples, there are none"
        raise UserError.at("weight-noise", what, "give labels, or give sigma instead")
    together = Samples(
        sum((part.ids[:MATCHED] for part in parts), ()),
        np.concatenate([part.x[:MATCHED] for part in parts]),
        np.concatenate([part.y[:MATCHED] for part in parts if part.y is not None]),
    )
    return together.take(slice(0, MATCHED))


def _match(
    module: nn.Module, noise: dict[str, torch.Tensor], samples: Samples, declared: InputSpec, wanted: float
) -> _Try:
    """The sigma whose loss of accuracy is nearest to the wanted one, by doubling and then bisection."""
    from bench.models.training import accuracy

    clean = accuracy(module, samples, declared)

    def measure(sigma: float) -> _Try:
        return _Try(sigma, clean - accuracy(_noisy(module, noise, sigma), samples, declared))

    tries = [measure(FIRST)]
    while tries[-1].loss < wanted and tries[-1].sigma < LAST:
        tries.append(measure(tries[-1].sigma * 2))
    low, high = tries[-1].sigma / 2 if len(tries) > 1 else 0.0, tries[-1].sigma
    for _ in range(HALVINGS):
        if any(abs(attempt.loss - wanted) <= 0.5 / len(samples) for attempt in tries):
            break
        middle = measure((low + high) / 2)
        tries.append(middle)
        low, high = (middle.sigma, high) if middle.loss < wanted else (low, middle.sigma)
    best = min(tries, key=lambda attempt: (abs(attempt.loss - wanted), attempt.sigma))
    if abs(best.loss - wanted) > tolerance(len(samples)):
        raise NotApplicable(f"no noise loses {wanted:g} of the accuracy {clean:.4f}; the nearest loses {best.loss:.4f}")
    return best
