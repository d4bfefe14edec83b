"""Files before and after the ONNX Runtime steps: checks, simplifying, calibration inputs, bytes in order, figures."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper, version_converter
from onnxruntime.quantization import quant_pre_process

from bench.batch_norm_folding.onnx_files.wiring import read_by
from bench.compression.base import StepContext
from bench.errors import UserError
from bench.functional.onnx_cost import onnx_figures
from bench.models.training import preprocess
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import integer_kernels, operators, optimised_operators
from bench.runtimes.onnx_runtime import OnnxRuntime
from bench.runtimes.onnx_session import reason

OPSET_21_IR: Final = 10  # the format's version that opset 21 needs


def calibration_inputs(network: OnnxNetwork, context: StepContext) -> tuple[str, NDArray[Any], int]:
    """The input's name, preprocessed calibration samples (n, channels, height, width), and the batch it takes.

    Raises:
        UserError: there are too few calibration samples, or ONNX Runtime cannot run the file.
    """
    if len(context.calibration) == 0:
        raise UserError.at("data.calibration", "no calibration samples", "give 1 or more; ranges are read off them")
    predictor = OnnxRuntime().open(network, Target(name="calibration", runtime="onnxruntime"), "cpu")
    x = preprocess(torch.from_numpy(context.calibration.x), network.input).numpy()
    batch = predictor.fixed_batch or 1
    if len(x) < batch:
        what = f"{len(x)} calibration samples; the file takes {batch} at a time"
        raise UserError.at("data.calibration", what, f"give {batch} or more")
    return predictor.input_name, np.ascontiguousarray(x, dtype=predictor.dtype), batch


def check_file(model: bytes, step: str) -> None:
    """The file must be float32; else ``UserError``.

    Raises:
        UserError: the file holds float16 weights, or cannot be read.
    """
    try:
        loaded = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own class is not a public name
        raise UserError.at(step, "the file is not a valid ONNX file", "give a self-contained one") from error
    if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in loaded.graph.initializer):
        raise UserError.at(step, "the file holds float16 weights already", "start from the float32 file")


def simplified(model: bytes, opset: int | None = None) -> ModelProto:
    """The file after ONNX Runtime's own simplification, which folds BatchNorm, at ``opset`` or newer.

    Shapes that are written in the file are left out: steps change them.

    Raises:
        UserError: the file cannot be raised to that opset.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, simple = Path(folder) / "source.onnx", Path(folder) / "simple.onnx"
        source.write_bytes(model)
        quant_pre_process(source, simple, skip_symbolic_shape=True)  # ONNX's own inference follows
        made = onnx.load(simple)
    version = next(entry.version for entry in made.opset_import if entry.domain in ("", "ai.onnx"))
    if opset is not None and version < opset:
        made = _raised(made, opset)
    del made.graph.value_info[:]
    _flatten_biases(made)
    return made


def _flatten_biases(model: ModelProto) -> None:
    """Stored biases of Gemm as (outputs,): the static quantiser reads no others, such as (1, outputs)."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    replaced: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "Gemm" or len(node.input) < 3 or not {*node.input[1:3]} <= set(stored):
            continue
        turned = any(entry.name == "transB" and entry.i for entry in node.attribute)
        outputs = stored[node.input[1]].dims[0 if turned else 1]
        bias = numpy_helper.to_array(stored[node.input[2]])
        if bias.shape != (outputs,) and bias.size in (1, outputs):  # else a bias of its own for each sample
            flat = np.broadcast_to(bias.reshape(-1), (outputs,)).copy()
            replaced.add(node.input[2])  # others may read it too
            node.input[2] = f"{node.input[2]}_of_{node.output[0]}"
            model.graph.initializer.append(numpy_helper.from_array(flat, node.input[2]))
    read = {name for node in model.graph.node for name in read_by(node)} | {each.name for each in model.graph.output}
    for name in replaced - read:
        model.graph.initializer.remove(stored[name])


def _raised(model: ModelProto, opset: int) -> ModelProto:
    try:
        made = version_converter.convert_version(model, opset)
    except Exception as error:  # the converter's exceptions share no base class of their own
        what = f"the file cannot be raised to opset {opset}: {reason(error)}"
        raise UserError.at("onnx", what, f"export it with opset {opset}") from error
    made.ir_version = max(model.ir_version, OPSET_21_IR)
    return made


def canonical(model: ModelProto) -> bytes:
    """The file in a deterministic order of bytes, without the tool's notes."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    return bytes(model.SerializeToString(deterministic=True))


def describe(before: OnnxNetwork, after: OnnxNetwork) -> dict[str, Any]:
    """A description of what a step made: operators as stored and as they run, bits a weight, bytes.

    ``bits`` are averages over all weights of convolutions and matrix products: ``stored`` in the file, ``nominal``
    after the weight's quantiser. ``integer_kernels``: convolutions and matrix products that run on integers on this
    machine.
    """
    target = Target(name="kernels", runtime="onnxruntime")
    running = optimised_operators(after, target)
    bits = onnx_figures(after.model, after.input.network_shape).bits
    return {
        "operators": operators(after.model),
        "running_operators": running,
        "integer_kernels": integer_kernels(running),
        "bits": None if bits is None else {"nominal": bits.nominal, "stored": bits.stored},
        "bytes": {"before": len(before.model), "after": len(after.model)},
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what ONNX Runtime's tools print, warn of and advise on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
