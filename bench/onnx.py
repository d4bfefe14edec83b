"""ONNX files as torch modules with input gradients: ``load``, and ``verify`` against ONNX Runtime. Usable alone.

The graph is executed node by node, so that tools which need a torch module (attacks, attribution, Jacobians) work on
the very file that is deployed, quantised ones included.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from bench.errors import UserError
from bench.integer_sums.pairs import Sums
from bench.networks.interface import ONNX_INPUT_TYPES
from bench.onnx_files.class_scores import only_output
from bench.onnx_files.reading import is_quantised, self_contained
from bench.onnx_files.running import holds_loop, run_session
from bench.onnx_import import OnnxModule
from bench.onnx_import.module import import_onnx
from bench.onnx_import.parity import Parity, output_step, parity_of
from bench.onnx_import.rounding import GradientMode
from bench.onnx_import.values import TORCH_TYPES, Codes
from bench.registry import nearest
from bench.runtimes.base import Optimisation, Target
from bench.runtimes.integer_sums import native_sums
from bench.runtimes.onnx_operators import DYNAMIC, operators
from bench.runtimes.onnx_session import graph_of, reason, session_options, start_session
from bench.suite.given_network import content_of

__all__ = ["LoadedModule", "Parity", "load", "verify"]

UINT8: Final = 2  # ONNX's number of the element type
BATCH: Final = 64


class LoadedModule(OnnxModule):
    """An ONNX graph as a torch module in evaluation mode: one input, one output, input gradients.

    ``model`` holds the bytes of the file, ``sums`` says how products of 8-bit codes are summed. Weights are buffers:
    they take no gradient.
    """

    model: bytes
    sums: Sums

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The graph's output of a batch x, cast to the graph's floating type; float x of a uint8 input is rounded.

        Raises:
            UserError: the graph has not one input, or a node cannot run on x.
        """
        names = self.graph.inputs
        element = self.graph.input_types.get(names[0], 0) if len(names) == 1 else 0
        if element == UINT8 and x.is_floating_point():
            whole: Any = Codes(self.rounding.saturate(x, 0, 255), UINT8)
            return self.values({names[0]: whole}, self.graph.outputs[:1])[self.graph.outputs[0]]
        wanted = TORCH_TYPES.get(element)
        both = wanted is not None and wanted.is_floating_point and x.is_floating_point()
        return super().forward(x.to(wanted) if both else x)


def load(
    source: str | os.PathLike[str] | bytes | onnx.ModelProto,
    *,
    output: str | None = None,
    gradient: GradientMode = "straight_through",
    sums: Sums = "exact",
    optimisation: Optimisation = "disabled",
) -> LoadedModule:
    """Load an ONNX file as a torch module that executes the same graph, with gradients by its input.

    Args:
        source: a path, the bytes of a file, or a ``ModelProto``. Data beside a file is read from its folder alone.
        output: name of the output to answer; the first by default.
        gradient: at operators that round: ``straight_through``, the identity inside the quantiser's range
            (arXiv 1308.3432); ``hard`` or ``exact``, the true derivative, which is zero almost everywhere.
        sums: of products of 8-bit codes: ``exact``, or ``saturating`` in 16 bits as x86 without VNNI sums.
        optimisation: import the graph that ONNX Runtime makes of the file at this level; the file's own by default.

    Returns:
        The module. Nothing is promised of its values until ``verify`` has compared them with ONNX Runtime.

    Raises:
        UserError: no ONNX file, an unknown output, or operators that cannot be imported (docs/onnx-operators.md).

    >>> import onnx.parser, torch
    >>> text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,2] x) => (float[n,2] y) { y = Mul(x, x) }'
    >>> net = load(onnx.parser.parse_model(text))
    >>> x = torch.tensor([[1.0, -2.0]], requires_grad=True)
    >>> net(x).sum().backward()
    >>> x.grad.tolist()
    [[2.0, -4.0]]
    """
    model = self_contained(_bytes_or_path(source), "onnx")
    if output is not None:
        known = [value.name for value in _parsed(model).graph.output]
        if output not in known:
            raise UserError.at("output", f"the file has no output {output!r}", nearest(output, known))
        model = only_output(model, output)
    graph = model if optimisation == "disabled" else graph_of(model, Target(name="onnx", optimisation=optimisation))
    imported = import_onnx(graph, gradient, sums)
    net = LoadedModule(imported.graph, imported.rounding, imported.summing).eval()
    net.model, net.sums = model, sums
    return net


def verify(net: LoadedModule, x: torch.Tensor | NDArray[Any], *, optimisation: Optimisation = "all") -> Parity:
    """Compare a loaded network with ONNX Runtime on samples; raises where the two are not the same function.

    Args:
        net: from ``load``.
        x: samples (n, ...) as the file takes them; real ones, since a quantised network may differ elsewhere.
        optimisation: ONNX Runtime's, as the file is deployed.

    Returns:
        The figures: quantiles over samples of the largest difference of an output, in steps of the output's quantiser
        or in shares of the outputs' spread, and how often both give the same class.

    Raises:
        UserError: the difference is beyond the limits (median one step or 1 % of the spread; 99 % quantile four steps
            or 10 %; the same class on 98 %), or one of the two cannot run x.

    >>> import onnx.parser, torch
    >>> text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,2] x) => (float[n,2] y) { y = Mul(x, x) }'
    >>> verify(load(onnx.parser.parse_model(text)), torch.tensor([[1.0, -2.0], [3.0, 0.5]])).largest
    0.0
    """
    if not isinstance(net, LoadedModule):
        raise UserError.at("net", f"it is a {type(net).__name__}", "give what bench.onnx.load returned")
    target = Target(name="onnx", runtime="onnxruntime", optimisation=optimisation)
    session = start_session(net.model, target, session_options(target, 1))
    samples = torch.as_tensor(x).detach().cpu()
    if samples.ndim < 1 or not len(samples):
        raise UserError.at("x", f"shape {tuple(samples.shape)}", "give samples (n, ...)")
    fixed = _fixed_batch(session)
    size = fixed or (1 if DYNAMIC & set(operators(net.model)) else BATCH)
    device = next((held.device for held in net.buffers()), samples.device)
    ours, theirs = [], []
    for batch in torch.split(samples, size):
        full = torch.cat([batch, batch[-1:].expand(size - len(batch), *batch.shape[1:])]) if fixed else batch
        with torch.no_grad():
            ours.append(_rows(net(full.to(device)).cpu(), len(full))[: len(batch)])
        theirs.append(_rows(_answer(session, net.model, full), len(full))[: len(batch)])
    if ours[0].shape != theirs[0].shape:
        what = f"the import puts out {tuple(ours[0].shape)}, ONNX Runtime {tuple(theirs[0].shape)}"
        raise UserError.at("onnx", what, "check the file with ONNX Runtime")
    parity = parity_of(torch.cat(ours), torch.cat(theirs), output_step(net))
    if parity.trusted:
        return parity
    raise UserError.at("onnx", f"the import differs from ONNX Runtime's session {parity}", _advice(net, optimisation))


def _advice(net: LoadedModule, optimisation: Optimisation) -> str:
    """The advice that may make the two agree."""
    own = native_sums()
    if own is not None and own != net.sums and is_quantised(net.model):
        return f'this processor sums 8-bit products otherwise: bench.onnx.load(..., sums="{own}")'
    return f'import the graph that runs: bench.onnx.load(..., optimisation="{optimisation}"); trust no gradient of this'


def _bytes_or_path(source: Any) -> bytes | Path:
    if isinstance(source, str | os.PathLike):
        return Path(source)
    kind, content = content_of(source, "onnx")
    if kind != "onnx":
        what = f"an object of type {type(source).__name__} is no ONNX file"
        raise UserError.at("onnx", what, "give a path, the file's bytes, or a ModelProto")
    model: bytes = content
    return model


def _parsed(model: bytes) -> onnx.ModelProto:
    return onnx.load_model_from_string(model)


def _fixed_batch(session: InferenceSession) -> int | None:
    shape = session.get_inputs()[0].shape
    return shape[0] if shape and isinstance(shape[0], int) and shape[0] > 0 else None


def _rows(out: torch.Tensor, n: int) -> torch.Tensor:
    """One row of numbers a sample."""
    if out.ndim < 1 or len(out) != n:
        what = f"{n} samples give an output of shape {tuple(out.shape)}"
        raise UserError.at(
            "onnx", what, "verify compares outputs sample by sample; the first axis must be the samples'"
        )
    return out.reshape(n, -1).double()


def _answer(session: InferenceSession, model: bytes, batch: torch.Tensor) -> torch.Tensor:
    """The first output of ONNX Runtime for one batch."""
    entry = session.get_inputs()[0]
    kind = ONNX_INPUT_TYPES.get(entry.type)
    given = batch.numpy()
    if kind is np.uint8 and given.dtype.kind == "f":
        given = np.clip(np.rint(given), 0, 255)
    feeds = {entry.name: np.ascontiguousarray(given, dtype=kind)}
    try:
        out = run_session(session, feeds, loops=holds_loop(model))[0]
    except UserError:
        raise
    except Exception as error:  # the runtime's exceptions share no base class of their own
        right = "give samples as the file takes them"
        raise UserError.at("x", f"ONNX Runtime cannot run {tuple(batch.shape)}: {reason(error)}", right) from None
    return torch.from_numpy(np.asarray(out))
