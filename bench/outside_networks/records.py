"""Records of where a network's history begins: an architecture, a factory, a file, or an object in memory."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from bench.models.base import Model
from bench.networks.network import InputSpec
from bench.uncertainty.base import Method


def source_record(model: Model, declared: InputSpec, method: Method | None = None) -> dict[str, Any]:
    """The record of a network trained here: its architecture, without the weights.

    ``declared`` is of what comes out: of several members where a method makes them.
    """
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}  # type: ignore[arg-type]
    made = {} if method is None else {"method": json.loads(json.dumps(method.canonical()))}
    return {
        **made,
        "source": "model",
        "model": model.name,
        "parameters": json.loads(json.dumps(values)),
        "input": declared.canonical(),
        "kind": "torch",
    }


def factory_record(factory: str, declared: InputSpec, materialised: Sequence[str] = ()) -> dict[str, Any]:
    """The record of a network that a factory builds; ``materialised`` only where its weights were computed."""
    record = {"source": "factory", "factory": factory, "input": declared.canonical(), "kind": "torch"}
    return {**record, "materialised": list(materialised)} if materialised else record


def held_record(kind: str, declared: InputSpec, materialised: Sequence[str] = ()) -> dict[str, Any]:
    """The record of a network that the caller held in memory: nothing can build it again."""
    record = {"source": "memory", "input": declared.canonical(), "kind": kind}
    return {**record, "materialised": list(materialised)} if materialised else record


def file_record(kind: str, sha256: str, declared: InputSpec) -> dict[str, Any]:
    """The record of an ONNX file from outside."""
    return {"source": "onnx", "sha256": sha256, "input": declared.canonical(), "kind": kind}


def source_of(record: dict[str, Any]) -> dict[str, Any]:
    """The innermost record: where the history begins."""
    while "source" not in record:
        record = record["of"]
    return record
