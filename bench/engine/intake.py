"""Taking in a network from outside: what its answers are, and whether they depend on the batch or on chance.

All of it is found on real samples, and stands in the network's record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bench.data.base import Dataset
from bench.errors import UnusableNetwork
from bench.models.training import reproducible
from bench.networks.network import FunctionNetwork, InputSpec, Network, OnnxNetwork
from bench.onnx_files.class_scores import holds_half, only_output, softmax_step
from bench.outside_networks.loading import load_outside
from bench.runtimes.base import Predictor, Target
from bench.runtimes.opening import open_predictor
from bench.suite.planned_networks import INTAKE_SAMPLES
from bench.suite.suite import Outside

Float = NDArray[np.float64]

COMPANY: Final = 8  # rows of a batch at least, so that there is company
ROUNDING: Final = 2e-3  # how far float16 probabilities may be from summing to 1
OUTPUT: Final = "probabilities"


class Limit(NamedTuple):
    """The difference, as a share of the logits' spread, and the number of samples from which on two answers differ."""

    difference: float
    share: float  # of the samples; two at least


DOUBLE: Final = Limit(1e-6, 0.0)
SINGLE: Final = Limit(1e-3, 0.0)
HALF: Final = Limit(0.02, 0.25)  # float16: single roundings fall the other way in another batch
ROUNDED: Final = Limit(0.05, 0.5)  # 8 bits and fewer: likewise


def take_in(outside: Outside, declared: InputSpec, x: NDArray[np.float32], where: str = "") -> Network:
    """Load a network from outside and find what its answers mean.

    Args:
        outside: a file or a factory; its ``input`` says what was declared for it.
        declared: the data's declaration, with the network's own put in.
        x: real samples (n, ...) in the user's bounds; the first 64 are used.
        where: what errors name.

    Returns:
        The network; its input says ``probabilities`` where its rows sum to 1, its record ``batch_dependent`` where a
        sample's answer depends on its company.

    Raises:
        UserError: it cannot be loaded, answers by chance, needs company, or contradicts what is declared.
    """
    network = load_outside(declared, where=where, **outside.sources)
    x = x[:INTAKE_SAMPLES]
    if not len(x):
        return network
    network = _with_output(network, _raw(network, x), outside.input.get("output"), where)
    return _with_batch(network, x, where)


def take_in_beside(dataset: Dataset, outside: Outside, where: str = "") -> Network:
    """``take_in`` on a data set's evaluation samples: the network takes its input as they are, unless it says else."""
    declared = InputSpec.from_canonical(dataset.input.canonical() | outside.input)
    return take_in(outside, declared, dataset.evaluation.x, where)


def _target(network: Network) -> Target:
    if isinstance(network, FunctionNetwork):
        return Target(name="intake", runtime="function")
    return Target(name="intake", runtime="onnxruntime" if isinstance(network, OnnxNetwork) else "torch")


def _answers(predictor: Predictor, x: NDArray[np.float32]) -> torch.Tensor:
    """The logits of every member, (members, n, classes)."""
    return predictor.logits(torch.from_numpy(np.ascontiguousarray(x))).double()


def _logits(predictor: Predictor, x: NDArray[np.float32]) -> Float:
    """Every member's logits of a sample side by side, (n, members classes)."""
    return np.asarray(_answers(predictor, x).transpose(0, 1).flatten(1).numpy())


def _raw(network: Network, x: NDArray[np.float32]) -> Float:
    """The outputs as they are, a row for each member and sample, (members n, classes)."""
    bare = replace(network, input=replace(network.input, output="logits", order=()))
    return np.asarray(_answers(open_predictor(bare, _target(network)), x).flatten(0, 1).numpy())


def sums_to_one(rows: Float, step: float | None = None) -> bool:
    """Whether every row is a probability: nothing below 0, and a sum of 1 within rounding.

    Args:
        rows: (n, classes) as the network puts them out.
        step: of the quantiser behind its softmax, if there is one: sums may be as many steps off as there are classes.

    >>> sums_to_one(np.array([[0.25, 0.75], [1.0, 0.0]])), sums_to_one(np.array([[0.5, -0.5]]))
    (True, False)
    >>> sums_to_one(np.array([[127 / 256, 128 / 256]]), 1 / 256)
    True
    """
    if rows.shape[1] < 2 or not np.isfinite(rows).all() or rows.min() < 0:
        return False
    allowed = max(ROUNDING, rows.shape[1] * (step or 0.0))
    return bool((np.abs(rows.sum(axis=1) - 1) <= allowed).all())


def _with_output(network: Network, rows: Float, declared: Any, where: str) -> Network:
    """The network with what its outputs are; a declaration that they contradict raises ``UserError``."""
    step = None
    if isinstance(network, OnnxNetwork):
        name = network.input.output_name
        step = softmax_step(only_output(network.model, name) if name else network.model)
    probabilities = sums_to_one(rows, step)
    if declared == OUTPUT and not probabilities:
        low, high = rows.sum(axis=1).min(), rows.sum(axis=1).max()
        what = f"declared are probabilities; on {len(rows)} samples the outputs lie in [{rows.min():.3g}, "
        what += f"{rows.max():.3g}] and sum to {low:.3g} to {high:.3g}"
        raise UnusableNetwork.at(f"{where}.input.output" if where else "input.output", what, "leave output out")
    if declared is None and probabilities != (network.input.output == OUTPUT):
        output: Any = OUTPUT if probabilities else "logits"
        return _recorded(network, replace(network.input, output=output))
    return network


def _recorded(network: Network, declared: InputSpec, **more: Any) -> Network:
    """The network with another declaration, and its record with that and more."""
    record = {**network.record, "input": declared.canonical(), **more}
    return replace(network, input=declared, record=record)


def _with_batch(network: Network, x: NDArray[np.float32], where: str) -> Network:
    """Refuse what answers by chance; record what depends on its batch."""
    predictor = open_predictor(network, _target(network), floor=not isinstance(network, OnnxNetwork))
    if predictor.spec.batch_dependent:
        return network  # dynamic quantisation: known by its operators
    predictor.batch_size = max(INTAKE_SAMPLES, COMPANY)
    company = _accompanied(x)
    with reproducible("intake", 0):
        together = _logits(predictor, company)
    with reproducible("intake", 1):
        again = _logits(predictor, company)
    spread = _spread(together)
    chance = _differing(together, again, spread, DOUBLE)  # one batch twice: nothing rounds otherwise
    if chance:
        what = f"it answers by chance: two runs on the same {len(company)} samples differ on {chance} of them, "
        what += f"by up to {_largest(together, again, spread):.2g} of the logits' spread"
        right = "switch dropout and other random operations off in evaluation mode"
        if isinstance(network, FunctionNetwork):
            right = "let it draw no random numbers, or the same ones at every call"
        raise UnusableNetwork.at(where or "network", what, right)
    alone = np.concatenate([_logits(predictor, company[index : index + 1]) for index in range(len(company))])
    if not _differing(together, alone, spread, _limit(network, predictor)):
        return network
    if getattr(predictor, "fixed_batch", None):
        what = f"samples of one batch change each other's answers, and the file fixes a batch of {len(company)}"
        raise UnusableNetwork.at(where or "network", what, "export it with a batch of 1, or an open one")
    return _recorded(network, network.input, batch_dependent=True)


def _accompanied(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples, and of few of them also copies with their pixels in reverse order, so that a batch is not alike."""
    turned = x[:, ..., ::-1]
    while len(x) < COMPANY:
        x, turned = np.concatenate([x, turned]), turned[:, ::-1] * 0.5
    return np.ascontiguousarray(x[: max(COMPANY, INTAKE_SAMPLES)])


def _limit(network: Network, predictor: Predictor) -> Limit:
    if getattr(predictor, "dtype", None) == torch.float64:
        return DOUBLE
    if network.quantised:
        return ROUNDED
    return HALF if isinstance(network, OnnxNetwork) and holds_half(network.model) else SINGLE


def _spread(logits: Float) -> float:
    """Root mean square of the logits less each sample's mean."""
    return float(np.sqrt(np.square(logits - logits.mean(axis=1, keepdims=True)).mean()))


def _largest(first: Float, second: Float, spread: float) -> float:
    return float(np.abs(first - second).max() / spread) if spread > 0 else float(np.abs(first - second).max())


def _differing(first: Float, second: Float, spread: float, limit: Limit) -> int:
    """The number of samples on which two answers differ; 0 where it is no more than rounding."""
    difference = np.abs(first - second).max(axis=1)
    count = int((difference > limit.difference * spread).sum())
    return count if count >= 2 and count > limit.share * len(first) else 0
