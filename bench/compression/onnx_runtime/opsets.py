"""Raising an old ONNX file to the opset that ONNX Runtime's tools need, where its answers stay the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import onnx
import torch
from onnx import ModelProto, version_converter

from bench.errors import UserError
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.onnx_session import reason
from bench.stats.streams import generator

OLDEST_OPSET: Final = 13  # below it, one scale a channel is silently dropped
OLDEST_IR: Final = 7  # the format's version that opset 13 needs
PROBES: Final = 8
SAME: Final = 1e-5  # of the largest output: single rounding


def modern(network: OnnxNetwork, step: str) -> tuple[OnnxNetwork, list[str]]:
    """The file at opset 13 or newer, by ONNX's own converter, and a note where it had to be raised.

    A raised file must give the same outputs on seeded probes. Initialisers that are also inputs, as files of the
    format's version 3 have them, are inputs no more: the tools take them for weights that may change.

    Raises:
        UserError: the file cannot be raised, or answers otherwise once it is.
    """
    model = onnx.load_model_from_string(network.model)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), OLDEST_OPSET)
    if opset >= OLDEST_OPSET:
        return network, []
    what, right = f"the file uses opset {opset}", f"export it with opset {OLDEST_OPSET} or newer"
    try:
        made = version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter's exceptions share no base class of their own
        raise UserError.at(step, f"{what} and cannot be raised to {OLDEST_OPSET}: {reason(error)}", right) from error
    made.ir_version = max(made.ir_version, OLDEST_IR)
    _only_real_inputs(made)
    raised = replace(network, model=made.SerializeToString(deterministic=True))
    difference = _difference(network, raised, step, right)
    if not difference <= SAME:
        what += f" and answers otherwise at {OLDEST_OPSET}, by {difference:.2g} of its largest output"
        raise UserError.at(step, what, right)
    return raised, [f"raised from opset {opset} to {OLDEST_OPSET}; outputs on {PROBES} probes stay the same"]


def _only_real_inputs(model: ModelProto) -> None:
    stored = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _difference(before: OnnxNetwork, after: OnnxNetwork, step: str, right: str) -> float:
    """The largest change of an output on seeded uniform probes, relative to the largest output."""
    x = _probes(before)
    target = Target(name="opset", runtime="onnxruntime", optimisation="disabled")
    first = OnnxRuntime().open(before, target, "cpu").logits(x).double().numpy()
    try:
        second = OnnxRuntime().open(after, target, "cpu").logits(x).double().numpy()
    except UserError as error:
        what = f"it does not run once it is raised to opset {OLDEST_OPSET}: {reason(error)}"
        raise UserError.at(step, what, right) from error
    size = max(float(np.abs(first).max()), float(np.finfo(np.float64).tiny))
    return float(np.abs(second - first).max()) / size


def _probes(network: OnnxNetwork) -> torch.Tensor:
    low, high = network.input.bounds
    values = generator("opset").uniform(low, high, (PROBES, *network.input.shape))
    return torch.from_numpy(values.astype(np.float32))
