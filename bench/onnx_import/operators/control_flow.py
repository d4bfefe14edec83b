"""If and Loop, whose conditions are known without the input's values."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from bench.limits import LOOP_ROUNDS
from bench.onnx_import.execution import run_graph
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import Codes, Value


@operator("If")
def branch(node: OnnxNode, condition: torch.Tensor, *, outer: Mapping[str, Value]) -> tuple[Value, ...]:
    """The results of one of two graphs."""
    return run_graph(node.get("then_branch" if bool(condition) else "else_branch"), (), outer)


@operator("Loop")
def loop(
    node: OnnxNode,
    rounds: torch.Tensor | None,
    condition: torch.Tensor | None,
    *carried: Value,
    outer: Mapping[str, Value],
) -> tuple[Value, ...]:
    """The results of a graph that is run on its own results, round by round; the rest of what it makes is stacked."""
    body = node.get("body")
    longest = LOOP_ROUNDS.most
    limit = longest + 1 if rounds is None else int(rounds)
    goes_on = torch.tensor(True) if condition is None else condition
    stacks: list[list[torch.Tensor]] = [[] for _ in body.outputs[1 + len(carried) :]]
    count = 0
    while count < limit and bool(goes_on):
        if count >= longest:
            raise ValueError(f"more than {longest} {LOOP_ROUNDS.unit}; {LOOP_ROUNDS.advice}")
        made = run_graph(body, (torch.tensor(count), goes_on, *carried), outer)
        goes_on = _truth(made[0])
        carried = made[1 : 1 + len(carried)]
        for stack, value in zip(stacks, made[1 + len(carried) :], strict=True):
            stack.append(_tensor(value))
        count += 1
    if not all(stacks) and stacks:
        raise ValueError("a loop of no rounds that stacks what its rounds make")
    return (*carried, *(torch.stack(stack) for stack in stacks))


def _tensor(value: Value) -> torch.Tensor:
    if value is None or isinstance(value, Codes):
        raise ValueError("a loop that stacks quantised values")
    return value


def _truth(value: Value) -> torch.Tensor:
    return _tensor(value)
