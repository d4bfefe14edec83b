"""Chains of steps: which step may follow which, and running one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.compression.base import Step, StepContext
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork, with_record


def check_chain(kind: str, chain: Sequence[Step], where: str = "") -> str:
    """The kind of network that comes out of a chain of steps; nothing runs.

    Raises:
        UserError: a step cannot take what the one before it makes; says which and why.

    >>> from bench.compression.base import steps
    >>> check_chain("torch", [steps.get("bn-fold")()])
    'torch'
    """
    maker = ""
    for index, step in enumerate(chain):
        path = f"{where}.steps[{index}]" if where else f"steps[{index}]"
        _accept(step, kind, maker, path)
        after = step.produces(kind)
        maker = step.name if after != kind or not maker else maker
        kind = after
    return kind


def _accept(step: Step, kind: str, maker: str, path: str) -> None:
    if kind in step.consumes:
        return
    source = maker or f"{'an' if kind.startswith('o') else 'a'} {kind} network"
    wanted = " or ".join(sorted(step.consumes))
    reason = step.refusal.get(kind, f"it takes a network of kind {wanted}, not {kind}")
    raise UserError.at(path, f"{step.name} cannot follow {source}: {reason}")


def run_step(step: Step, network: Network, context: StepContext) -> Network:
    """Apply a step; the result carries the whole history back to its source.

    Raises:
        UserError: the step does not take this kind of network.
    """
    _accept(step, network.kind, network.record.get("step", ""), step.name)
    if not step.takes_torchscript and isinstance(network, TorchNetwork):
        from bench.networks.torchscript import refuse_torchscript

        refuse_torchscript(network.module, step.name)
    made, record = step.apply(network, context)
    if isinstance(made, TorchNetwork):
        made.module.eval()
    nested = {**step.canonical(), "record": record, "kind": made.kind, "of": network.record}
    return with_record(made, json.loads(json.dumps(nested, allow_nan=False)))
