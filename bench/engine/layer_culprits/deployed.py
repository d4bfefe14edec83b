"""The pair as it is deployed: how much of the divergence arises in the runtime, and not in any layer."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.layer_culprits.output_damage import OutputDamage
from bench.errors import NotApplicable, UserError
from bench.functional.divergences import LARGEST_DIVERGENCE
from bench.networks.network import Network, OnnxNetwork
from bench.results.layers import DeployedDivergence, Estimate, SumsInfo
from bench.runtimes.base import IntegerSums, Predictor, Target
from bench.runtimes.opening import open_predictor
from bench.stats.change import added_change
from bench.suite.stages import OPTIMISATION, PROCESSOR

Float = NDArray[np.float64]
RUNTIME = (OPTIMISATION, PROCESSOR)


class Deployed(NamedTuple):
    """A network's answers where it runs (n, classes): as it is, and with exact 8-bit sums; and the predictor."""

    logits: Float
    exact: Float
    predictor: Predictor


def deploy(
    network: Network, samples: Samples, where: str, integer_sums: IntegerSums = "native", option: str = "integer_sums"
) -> Deployed:
    """Run a network as it is: torch, or ONNX Runtime on the whole file, fully optimised.

    Where exact 8-bit sums cannot be had, ``exact`` holds the answers as they are: nothing is then charged to the
    processor. The sums that are asked for and cannot be had raise ``UserError``, which names the ``option``.
    """
    if not isinstance(network, OnnxNetwork):
        predictor = open_predictor(network, Target(name="as it is"))
        logits = _logits(predictor, samples)
        return Deployed(logits, logits, predictor)
    target = Target(name="as it is", runtime="onnxruntime", integer_sums=integer_sums)
    try:
        predictor = open_predictor(network, target)
    except NotApplicable as error:
        raise UserError.at(where, str(error), f"leave {option} out") from error
    logits = _logits(predictor, samples)
    if not network.quantised or predictor.spec.integer_sums == "exact":
        return Deployed(logits, logits, predictor)
    try:
        exact = _logits(open_predictor(network, replace(target, integer_sums="exact")), samples)
    except NotApplicable:
        exact = logits
    return Deployed(logits, exact, predictor)


def _logits(predictor: Predictor, samples: Samples) -> Float:
    return np.asarray(predictor.combined(torch.from_numpy(samples.x)).numpy(), dtype=np.float64)


def deployed_divergence(layers: OutputDamage, pair: tuple[Deployed, Deployed], samples: Samples) -> DeployedDivergence:
    """The divergence of the pair as deployed, and what of it the layers, the optimisation and the processor bring in.

    Args:
        layers: the pair run layer by layer, without optimisation.
        pair: reference and variant as they are.
        samples: what all were run on.

    Returns:
        ``js`` and ``flips`` as deployed; ``parts``: ``layers`` and what each of the runtime's two stages adds to that,
        paired over samples; ``runtime_share`` of the divergence, 0 where the runtime leads back and 1 where the layers
        do, null where there is none; ``integer_sums`` of the variant, null where it has no 8-bit products.
    """
    labels = samples.y
    exact = OutputDamage(pair[0].exact, pair[1].exact, labels)
    whole = OutputDamage(pair[0].logits, pair[1].logits, labels)
    divergence = whole.divergence()
    added = {OPTIMISATION: (layers, exact), PROCESSOR: (exact, whole)}
    parts = {"layers": layers.divergence().js}
    for name in RUNTIME:
        first, second = (damage.before for damage in added[name])
        estimate, interval = added_change(first, second, whole.resamples, largest=LARGEST_DIVERGENCE)
        parts[name] = Estimate(estimate=estimate, ci=(interval.low, interval.high))
    total = float(whole.before.mean())
    share = sum(parts[name].estimate for name in RUNTIME) / total if total > 0 else None
    share = share if share is None else min(max(share, 0.0), 1.0)
    return DeployedDivergence(
        **divergence._asdict(),
        parts=parts,
        runtime_share=share,
        integer_sums=_sums(pair[1].predictor, samples),
    )


def _sums(predictor: Predictor, samples: Samples) -> SumsInfo | None:
    from bench.runtimes.onnx_predictor import OnnxPredictor
    from bench.runtimes.saturation import sums_of

    if not isinstance(predictor, OnnxPredictor) or not predictor.network.quantised:
        return None
    sums = sums_of(predictor, torch.from_numpy(samples.x))
    return SumsInfo(**sums, asked=predictor.spec.target.integer_sums)
