"""Networks as ONNX files that can be taken apart into layers, and how true to the networks they are."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bench.compression.base import StepContext
from bench.data.base import Samples
from bench.errors import UserError
from bench.functional.divergences import flips
from bench.interrupts import contained
from bench.models.training import reproducible
from bench.networks.attention import plain_attention
from bench.networks.network import FunctionNetwork, Network, OnnxNetwork, TorchNetwork
from bench.networks.torchscript import copied, exportable
from bench.results.layers import RunFidelity

OPSET = 18
TOLERANCE = 1e-3  # of the largest logit, for the median sample: what exporting may change


def as_onnx(network: Network, where: str) -> OnnxNetwork:
    """The network as an ONNX file; a quantised torch network by the step ``onnx-export``.

    Raises:
        UserError: it cannot be exported.
    """
    if isinstance(network, OnnxNetwork):
        return network
    if isinstance(network, FunctionNetwork):
        what = "a function of arrays has no layers that could be looked at"
        raise UserError.at(where, what, "give a torch module or an ONNX file")
    try:
        if network.quantised or _holds_brevitas(network):
            return _export_quantised(replace(network, quantised=True))
        with contained(), reproducible("onnx-export"), _quiet(), plain_attention():
            return OnnxNetwork(_export(network), network.input)
    except UserError:
        raise
    except Exception as error:  # exporters, and the network's own code, raise anything
        line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        what = f"it cannot be written as ONNX: {line}"
        raise UserError.at(where, what, "give an ONNX file, or a network that exports") from error


def _holds_brevitas(network: TorchNetwork) -> bool:
    return any(type(part).__module__.startswith("brevitas.") for part in network.module.modules())


def _export_quantised(network: TorchNetwork) -> OnnxNetwork:
    from bench.compression.onnx_export import OnnxExport

    nothing = Samples((), np.zeros((0, *network.input.shape), np.float32), None)
    made, _ = OnnxExport().apply(network, StepContext(nothing, nothing, None, 0))
    assert isinstance(made, OnnxNetwork)
    return made


def _export(network: TorchNetwork) -> bytes:
    """Export by tracing; unlike by the step, a network that gives NaN is exported too: their source is the question."""
    example = torch.zeros(2, *network.input.network_shape)
    module = exportable(copied(network.module).cpu().eval(), example)
    file: Any = io.BytesIO()  # which the exporter takes, whatever its annotation says
    axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        module,
        (example,),
        file,
        dynamo=False,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes=axes,
    )
    return bytes(file.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes on its own age."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def fidelity(network: Network, actual: NDArray[np.float64], logits: NDArray[np.float64], where: str) -> RunFidelity:
    """The change by running layer by layer, against torch as it is, or ONNX Runtime on the whole file, fully optimised.

    Args:
        network: as it was given.
        actual: (n, classes) as it answers where it is deployed.
        logits: (n, classes) as the layers gave them.
        where: what an error names.

    Raises:
        UserError: the exported file computes something else than the torch network.
    """
    runtime: Literal["torch", "onnxruntime"] = "torch" if isinstance(network, TorchNetwork) else "onnxruntime"
    finite = np.isfinite(actual).all(axis=1)
    same = finite == np.isfinite(logits).all(axis=1)
    figures = RunFidelity(runtime=runtime, largest_difference=None, flips=None)
    finite &= same
    if finite.any():
        gap = np.abs(actual - logits)[finite].max(axis=1)
        size = float(np.abs(actual[finite]).max())
        moved = float(flips(actual[finite], logits[finite]).mean())
        figures = RunFidelity(runtime=runtime, largest_difference=float(gap.max()), flips=moved, largest_logit=size)
        same &= ~finite | (float(np.median(gap)) <= max(TOLERANCE * size, 1e-6))
    if runtime == "torch" and not same.all():
        what = f"as ONNX it computes something else than in torch: logits differ by {figures.largest_difference}"
        raise UserError.at(where, what, "export it yourself and give the ONNX file")
    return figures
