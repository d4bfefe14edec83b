"""The export of torch networks for ONNX Runtime, with the parameters of the suite's own export steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias, cast

from bench.compression.base import Step, steps
from bench.suite.suite import Suite

EXPORT = "onnx-export"
Exports: TypeAlias = Mapping[str, Step]  # by the kind of network


def exports_of(suite: Suite) -> Exports:
    """The export that the reference, the yardsticks and chains that end in torch get, by their kind.

    Each of its parameters is what all onnx-export steps of the suite give to networks of that kind, else the default.
    Where only quantised networks are exported, float ones get what these get; a quantised network whose kind no step
    exports gets the others' operator set, since not every exporter takes it.
    """
    exports: dict[str, list[Step]] = {"torch": [], "torch-quantised": []}
    for variant in suite.variants:
        kind = "torch"
        for step in variant.steps:
            if step.name == EXPORT:
                exports.setdefault(kind, []).append(step)
            kind = step.produces(kind)
    floats, quantised = exports["torch"], exports["torch-quantised"]
    both = {"torch": _common(floats or quantised), "torch-quantised": _common(quantised or floats)}
    if not quantised:
        both["torch-quantised"].pop("exporter", None)
    return {kind: cast(Any, steps.get(EXPORT))(**given) for kind, given in both.items()}


def _common(declared: Sequence[Step]) -> dict[str, Any]:
    """Parameters that all of the steps agree on."""
    if not declared:
        return {}
    first = declared[0]
    names = [item.name for item in fields(first)]  # type: ignore[arg-type]
    return {
        name: getattr(first, name)
        for name in names
        if all(getattr(step, name) == getattr(first, name) for step in declared)
    }
