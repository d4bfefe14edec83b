"""Opens a network on a target as a predictor."""

from __future__ import annotations

from bench.errors import NotApplicable
from bench.networks.network import Network
from bench.runtimes.base import Predictor, Target, runtimes


def open_predictor(network: Network, target: Target, device: str = "cpu", floor: bool = False) -> Predictor:
    """The network as it runs on the target; ``floor``: by another arithmetic route.

    An unknown runtime raises ``UserError``, a network of a kind that the runtime does not run ``NotApplicable``.
    """
    runtime = runtimes.get(target.runtime, f"target.{target.name}.runtime")
    if network.kind not in runtime.kinds:
        kinds = " and ".join(sorted(runtime.kinds))
        advice = "; export it with onnx-export first" if network.kind.startswith("torch") else ""
        if network.kind == "function":
            advice = '; declare a [[target]] with runtime = "function"'
        raise NotApplicable(f"runtime {target.runtime!r} runs {kinds} networks, not {network.kind}{advice}")
    return runtime().open(network, target, device, floor=floor)
