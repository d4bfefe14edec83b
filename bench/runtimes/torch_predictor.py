"""A torch module on a device, as a predictor with gradients."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.errors import NotDifferentiable, UserError
from bench.networks.arithmetic import arithmetic
from bench.networks.interface import combined, member_scores, put_out, scored_classes, scores_shape, to_network
from bench.networks.memory_layout import keep_contiguous
from bench.networks.network import TorchNetwork
from bench.networks.torchscript import copied
from bench.runtimes.base import Predictor, PredictorSpec, Target

DEVICES = ("cpu", "cuda", "mps", "xpu")


def find_device(name: str) -> torch.device:
    """The torch device of that name; one that is not here raises ``UserError``."""
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in DEVICES:
        raise UserError.at("device", f"unknown device {name!r}", f"known: {', '.join(DEVICES)} (cuda:1 for the second)")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError.at("device", f"{name!r} is not available to torch {torch.__version__}", "use cpu") from None
    return device


class TorchPredictor(Predictor):
    """A torch module in evaluation mode; ``module`` is a private copy whose parameters take no gradient."""

    def __init__(
        self, network: TorchNetwork, target: Target, device: torch.device, dtype: torch.dtype, threads: int
    ) -> None:
        self.network = network
        self.device, self.dtype, self.threads = device, dtype, threads
        self.module = copied(network.module).to(device=device, dtype=dtype).eval()
        for parameter in self.module.parameters():  # TorchScript has no requires_grad_ of its own
            parameter.requires_grad_(False)
        keep_contiguous(self.module)
        self.softmax_call: int | None = None  # the one that is left out
        declared = network.input
        self.spec = PredictorSpec(
            input=declared, target=target, members=declared.members, batch_dependent=network.batch_dependent
        )
        if network.input.output == "probabilities":
            self._remove_softmax()

    def _remove_softmax(self) -> None:
        """Leave out the softmax call that makes the output, where there is one."""
        from bench.networks.function_modes import final_softmax

        declared = self.network.input
        sample = self.preprocess(torch.full((1, *declared.shape), declared.bounds[0]))
        try:
            with arithmetic(self.threads):
                self.softmax_call = final_softmax(self.module, sample)
        except (RuntimeError, ValueError, TypeError, AttributeError):
            return  # ``check`` says what is wrong with the network
        removed = self.softmax_call is not None
        declared = replace(declared, output="logits") if removed else declared
        self.spec = replace(self.spec, input=declared, softmax="removed" if removed else "kept")

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        """``(scale x - mean) / std`` on the predictor's device and in its precision."""
        return to_network(x.to(device=self.device, dtype=self.dtype), self.spec.input)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, batch, classes) of one preprocessed batch."""
        with arithmetic(self.threads), self._calls():
            out: torch.Tensor = self.module(x)
        return member_scores(out, self.spec.input)

    def _calls(self) -> AbstractContextManager[object]:
        """A context in which the final softmax is left out."""
        if self.softmax_call is None:
            return nullcontext()
        from bench.networks.function_modes import WithoutSoftmax

        return WithoutSoftmax(self.softmax_call)

    def as_shipped(self) -> TorchPredictor:
        """The network with its final softmax."""
        shipped = copy.copy(self)
        shipped.softmax_call = None
        return shipped

    def check(self) -> None:
        """One sample at the lower bound must give one row of class scores; else ``UserError``."""
        declared = self.network.input
        sample = torch.full((1, *declared.shape), declared.bounds[0])
        try:
            with torch.no_grad():
                shape = put_out(self.forward(self.preprocess(sample)).shape, declared.members)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            if self._runs(sample.repeat(2, *[1] * len(declared.shape))):
                what = f"the network answers batches and no single sample: {reason}"
                right = "give BatchNorm running statistics, or let the network compute each sample by itself"
                raise UserError.at("network", what, right) from error
            what = f"the network does not take a sample of shape {declared.shape}: {reason}"
            raise UserError.at("input", what, "declare the data's shape as the network expects it") from error
        classes, found = len(declared.classes), scored_classes(shape, 1, declared.members)
        if not found or classes not in (0, found):  # no classes declared: any number
            what = f"the network gives shape {shape} for one sample"
            right = f"it must be {scores_shape(1, declared.members, classes)}, one score a class"
            raise UserError.at("input", what, right)

    def _runs(self, sample: torch.Tensor) -> bool:
        try:
            with torch.no_grad():
                self.forward(self.preprocess(sample))
        except (RuntimeError, ValueError):
            return False
        return True

    def differentiable(
        self,
        gradient: Literal["exact", "straight_through", "hard"] = "exact",
    ) -> nn.Module:
        """A module from user-space images (batch, channels, height, width) to logits (batch, classes), combined.

        Its attribute ``gradient`` says which gradient it gives: ``exact``, or ``straight_through`` for a quantised
        network, where rounding passes the gradient on inside its range. The true derivative of rounding is zero
        almost everywhere, so ``hard`` raises ``NotDifferentiable`` there. Only the forward pass is bound to the
        target's threads; put ``bench.networks.arithmetic.arithmetic`` around the backward pass.
        """
        if self.spec.input.dtype == "uint8":
            raise NotDifferentiable("the network takes whole pixels (uint8), which have no gradient")
        if self.network.quantised and gradient == "hard":
            raise NotDifferentiable("the derivative of a quantised network is zero almost everywhere")
        return user_space(self)

    def straight_through(self, x: NDArray[np.float32]) -> nn.Module:
        """A module as ``differentiable`` gives it, with every call that rounds passed straight through.

        Raises:
            NotDifferentiable: on samples x it computes something else than the network.
        """
        module = user_space(self, straight_through=True)
        right = self.combined(torch.from_numpy(x)).double()
        size = 1 if self.spec.batch_dependent else self.batch_size
        with torch.no_grad():
            logits = torch.cat([module(batch).cpu() for batch in torch.split(torch.from_numpy(x), size)]).double()
        if not torch.allclose(logits, right, rtol=1e-4, atol=1e-4 * float(right.std())):
            gap = float((logits - right).abs().max())
            raise NotDifferentiable(f"straight through what rounds, its logits differ by up to {gap:.3g}")
        return module


def user_space(predictor: TorchPredictor, *, straight_through: bool = False) -> nn.Module:
    """The predictor's network with its preprocessing inside, as a module that stays in evaluation mode.

    ``straight_through``: rounding passes gradients on, wherever the network's code rounds.
    """

    class UserSpace(nn.Module):
        """Images in the user's bounds to logits."""

        def __init__(self) -> None:
            super().__init__()
            self.network = predictor.module
            self.gradient = "straight_through" if predictor.network.quantised or straight_through else "exact"
            super().train(False)

        def train(self, mode: bool = True) -> UserSpace:
            """Stay in evaluation mode: measuring must not change batch statistics."""
            return self

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Logits (batch, classes)."""
            from bench.networks.function_modes import StraightThrough

            with StraightThrough() if straight_through else nullcontext():
                out = predictor.forward(predictor.preprocess(x))
            return combined(predictor.to_user(out), predictor.spec.input.combine)

    return UserSpace()
