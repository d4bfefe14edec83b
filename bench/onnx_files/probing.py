"""Finds the output of an ONNX file that holds the class scores, by a run on empty images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from bench.errors import UnusableNetwork, UserError
from bench.networks.interface import ONNX_INPUT_TYPES, scored_classes, scores_shape
from bench.networks.network import InputSpec
from bench.onnx_files.bounds import bounded, refuse_excess
from bench.onnx_files.interface import one_line
from bench.onnx_files.running import holds_loop, run_session
from bench.registry import nearest


@dataclass(frozen=True)
class Answer:
    """The output that holds the class scores, and how many classes there are."""

    output: str
    classes: int
    alone: bool  # whether the file has no other output


def probe_answer(model: bytes, declared: InputSpec, where: str) -> Answer:
    """The output with the class scores, from one run of ONNX Runtime on empty images.

    The declared ``output_name``, else the first output of shape (batch, classes) or (batch, classes, 1, ...) with as
    many classes as are declared; where none are, there must be one alone, or several of one size.

    Raises:
        UnusableNetwork: ONNX Runtime cannot load or run it, or no output holds class scores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    held = bounded(model)
    try:
        session = onnxruntime.InferenceSession(held, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises bare exceptions of many types
        refuse_excess(error, where)
        what = f"ONNX Runtime {onnxruntime.__version__} cannot load it: {one_line(error)}"
        raise UnusableNetwork.at(where, what, "export it with standard operators") from None
    entry = session.get_inputs()[0]
    if entry.type not in ONNX_INPUT_TYPES:
        right = f"it must be one of {', '.join(ONNX_INPUT_TYPES)}"
        raise UnusableNetwork.at(where, f"the input {entry.name!r} is {entry.type}", right)
    fixed = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) and entry.shape[0] > 0 else None
    count = fixed or 2
    try:
        zeros = np.zeros((count, *declared.network_shape), ONNX_INPUT_TYPES[entry.type])
        made = run_session(session, {entry.name: zeros}, loops=holds_loop(held))
    except UserError as error:
        raise UnusableNetwork.at(where, error.problems[0].what, error.problems[0].right) from None
    except Exception as error:
        refuse_excess(error, where)
        shape_text = ", ".join(map(str, (count, *declared.network_shape)))
        free = [str(size) for size in entry.shape[1:] if not isinstance(size, int)]
        left = f"; the file leaves {', '.join(free)} open" if free else ""
        what = f"ONNX Runtime cannot run it on inputs ({shape_text}): {one_line(error)}{left}"
        right = "export it with a dynamic batch and every other size fixed to the data's"
        raise UnusableNetwork.at(where, what, right) from None
    outputs = {entry.name: array for entry, array in zip(session.get_outputs(), made, strict=True)}
    return _chosen(outputs, count, declared, where)


def _chosen(outputs: dict[str, Any], count: int, declared: InputSpec, where: str) -> Answer:
    wanted, alone = len(declared.classes), len(outputs) == 1
    if declared.output_name and declared.output_name not in outputs:
        right = nearest(declared.output_name, list(outputs))
        raise UserError.at(where, f"the file has no output {declared.output_name!r}", right)
    fitting = {}
    for name, array in outputs.items():
        floating = isinstance(array, np.ndarray) and array.dtype in (np.float32, np.float16, np.float64)
        classes = scored_classes(array.shape, count, declared.members) if floating else 0
        if classes and declared.output_name in ("", name) and (alone or not wanted or classes == wanted):
            fitting[name] = classes
    if not fitting:
        candidates = {name: outputs[name] for name in ([declared.output_name] if declared.output_name else outputs)}
        listed = "; ".join(f"{name!r} {_shape(array)}" for name, array in candidates.items())
        what = f"{'two images give' if count == 2 else f'a batch of {count} gives'} {listed}"
        shape = scores_shape("batch", declared.members, 0 if alone else wanted)
        right = (
            f"put out {shape} in floating point, one score a class{_or_members(candidates.values(), count, declared)}"
        )
        raise UnusableNetwork.at(where, what, right)
    if not wanted and len(set(fitting.values())) > 1:
        listed = ", ".join(f"{name!r} ({count})" for name, count in fitting.items())
        right = f"say which: input = {{ output_name = {json.dumps(list(fitting)[-1])} }}"
        raise UnusableNetwork.at(where, f"several outputs may be class scores: {listed}", right)
    name, classes_found = next(iter(fitting.items()))
    return Answer(name, classes_found, alone)


def _or_members(arrays: Iterable[Any], count: int, declared: InputSpec) -> str:
    """The advice where an output may be of several members that were not declared."""
    shapes = [array.shape for array in arrays if isinstance(array, np.ndarray) and array.ndim == 3]
    several = [shape[1] for shape in shapes if shape[0] == count and shape[1] > 1]
    return (
        f"; of several members in one declare input = {{ members = {several[0]} }}"
        if several and declared.members == 1
        else ""
    )


def _shape(array: Any) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
