"""Sessions of ONNX Runtime on a target, and the graphs and files that it makes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import onnxruntime
from onnxruntime import InferenceSession, SessionOptions

from bench.errors import NotApplicable, UserError
from bench.networks.network import OnnxNetwork
from bench.registry import nearest
from bench.runtimes.base import Optimisation, Target

LEVELS: Final = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


def session_options(target: Target, threads: int) -> SessionOptions:
    """The target's optimisation level on ``threads`` threads; errors are raised, not printed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[target.optimisation])
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    return options


def start_session(model: bytes | str, target: Target, options: SessionOptions) -> InferenceSession:
    """A session of a file's bytes or path; ``UserError`` where the provider is missing or the file cannot be loaded."""
    available = onnxruntime.get_available_providers()
    if target.provider not in available:
        what = f"{target.provider!r} is not in onnxruntime {onnxruntime.__version__} as installed"
        raise UserError.at(f"target.{target.name}.provider", what, nearest(target.provider, available))
    providers = list(dict.fromkeys([target.provider, "CPUExecutionProvider"]))
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # the runtime's exceptions share no base class of their own
        what = f"ONNX Runtime {onnxruntime.__version__} cannot load the file: {reason(error)}"
        raise UserError.at("onnx", what, "give a valid, self-contained ONNX file of standard operators") from error
    if session.get_providers()[0] != target.provider:
        what = f"{target.provider!r} is installed and did not start on this machine"
        raise UserError.at(f"target.{target.name}.provider", what, "use CPUExecutionProvider")
    return session


def saved(model: bytes, target: Target, kind: Literal["ONNX", "ORT"]) -> bytes:
    """The optimised graph as ONNX Runtime writes it; the name's ending tells it the format."""
    options = session_options(target, target.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"optimised.{kind.lower()}"
        options.optimized_model_filepath = str(path)
        start_session(model, target, options)
        return path.read_bytes()


def graph_of(model: bytes, target: Target) -> bytes:
    """The graph that a session of a file runs on a target, short of the processor's own layouts."""
    level: Optimisation = "extended" if target.optimisation == "all" else target.optimisation
    return saved(model, replace(target, optimisation=level, format="onnx"), "ONNX")


def open_session(network: OnnxNetwork, running: bytes, target: Target, threads: int) -> tuple[bytes, InferenceSession]:
    """The user's file as the target opens it (the ONNX file, or an ``.ort`` file made from it), and the session.

    Args:
        network: the user's file.
        running: what the session is to hold.
        target: where.
        threads: of the session.

    Raises:
        UserError: the provider is missing, or the ONNX file cannot be loaded.
        NotApplicable: the network cannot be stored as ``.ort``.
    """
    options = session_options(target, threads)
    if target.format == "onnx":
        return network.model, start_session(running, target, options)
    try:
        file = saved(running, target, "ORT")
        session = start_session(file, target, options)
        return (file if running == network.model else saved(network.model, target, "ORT")), session
    except UserError as error:
        start_session(network.model, target, session_options(target, threads))  # is it the ONNX file's own fault?
        why = error.problems[0].what.partition("cannot load the file: ")[2] or str(error)
        what = f"onnxruntime {onnxruntime.__version__} cannot store this network as .ort: {why}"
        raise NotApplicable(what) from error


def reason(error: Exception) -> str:
    """The first line of an exception's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
