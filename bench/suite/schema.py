"""The JSON Schema of a suite file, published beside the suites for editors.

``python -m bench.suite.schema > suites/suite.schema.json`` writes it anew.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from bench.compression.base import steps
from bench.data.base import loaders
from bench.data.sources.base import sources
from bench.metrics.base import metrics
from bench.models.base import models
from bench.probes.adversarial_inputs import AdversarialInputs
from bench.registry import Registry
from bench.suite.tables import NAME_PATTERN, NAME_RULE, SuiteTable
from bench.uncertainty.base import methods

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def summary(thing: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _builtins(registry: Registry[Any]) -> Iterator[tuple[str, type[Any]]]:
    """The classes that ship here; plugins are left out, so that the published file is the same on every machine."""
    for name in registry.names():
        cls = registry.get(name)
        if cls.__module__.startswith("bench."):
            yield name, cls


def _choice(name: str, cls: type[Any], key: str, table: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The table when it names ``cls`` under ``key``: its own keys and the parameters of the class."""
    own = TypeAdapter(cls).json_schema()
    definitions.update(own.get("$defs", {}))
    naming = {key: {"const": name, "description": summary(cls)}}
    required = [key] if key in table.get("required", []) else []
    return {
        "title": name,
        "description": summary(cls),
        "type": "object",
        "properties": {**table["properties"], **naming, **own.get("properties", {})},
        "required": [*required, *own.get("required", [])],
        "additionalProperties": False,
    }


def _with_parameters(table: dict[str, Any], cls: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A table beside whose keys the parameters of one class stand."""
    own = TypeAdapter(cls).json_schema()
    definitions.update(own.get("$defs", {}))
    required = [*table.get("required", []), *own.get("required", [])]
    properties = {**table["properties"], **own["properties"]}
    return {**table, "properties": properties, "required": required, "additionalProperties": False}


def _own_class(key: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table when it names a class of the user's own, whose parameters are not known here."""
    naming = {**table["properties"][key], "type": "string", "pattern": ":"}
    naming.pop("anyOf", None)
    return {**table, "title": "module:object", "properties": {**table["properties"], key: naming}, "required": [key]}


def _matrix(choice: dict[str, Any], names: list[str]) -> None:
    """Let a metric's parameters be lists under ``matrix``; which of them must be given is checked on loading."""
    lists = {}
    for name in names:
        items = {key: value for key, value in choice["properties"][name].items() if key != "default"}
        lists[name] = {"type": "array", "minItems": 1, "items": items}
    matrix = {key: value for key, value in choice["properties"]["matrix"].items() if key != "additionalProperties"}
    choice["properties"]["matrix"] = {**matrix, "properties": lists, "additionalProperties": False}
    choice["required"] = ["use"]


def _open(definitions: dict[str, Any], table: str, key: str, registry: Registry[Any]) -> list[dict[str, Any]]:
    """One alternative for each built-in name and one for classes of the user's own."""
    base = definitions[table]
    choices = [_choice(name, cls, key, base, definitions) for name, cls in _builtins(registry)]
    definitions[table] = {"description": base["description"], "anyOf": [*choices, _own_class(key, base)]}
    return choices


def suite_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a suite file, with every built-in step, metric, model and loader.

    It helps while typing; loading a suite checks more (chains, files, gates, names of targets).
    """
    schema = SuiteTable.model_json_schema()
    definitions = schema["$defs"]
    definitions["Target"]["properties"]["name"] |= {"pattern": NAME_PATTERN, "description": NAME_RULE}
    own_keys = set(definitions["MetricTable"]["properties"])
    _open(definitions, "StepTable", "use", steps)
    for choice in _open(definitions, "MetricTable", "use", metrics):
        _matrix(choice, [name for name in choice["properties"] if name not in own_keys | {"samples"}])
    definitions["TransferTable"] = _with_parameters(definitions["TransferTable"], AdversarialInputs, definitions)
    outside = {**definitions["ReferenceTable"], "title": "outside", "additionalProperties": False}
    outside["properties"] = {key: value for key, value in outside["properties"].items() if key != "model"}
    _open(definitions, "DataTable", "loader", loaders)
    _open(definitions, "OodTable", "source", sources)
    _open(definitions, "MethodTable", "use", methods)
    _open(definitions, "ReferenceTable", "model", models)
    definitions["ReferenceTable"]["anyOf"].append(outside)
    # With ``extends`` a table may hold only what differs.
    for table in ("DataTable", "ReferenceTable"):
        for choice in definitions[table]["anyOf"]:
            choice.pop("required", None)
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    schema["$defs"] = dict(sorted(definitions.items()))
    return {"$schema": DRAFT, **schema}


def main() -> None:
    """Print the JSON Schema."""
    json.dump(suite_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
