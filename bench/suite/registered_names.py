"""The registered names that a suite can use, of metrics, probes, steps and so on, as lines of text."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

from pydantic import ValidationError

from bench.attacks.base import attacks
from bench.compression.base import Step, steps
from bench.data.base import loaders
from bench.data.sources.base import sources
from bench.errors import UserError
from bench.metrics.base import Metric, metrics
from bench.metrics.values import REFERENCE, Change, Statistic, Value
from bench.models.base import models
from bench.networks.network import Kind
from bench.probes.base import Probe, probes
from bench.registry import Registry, load_object, nearest
from bench.runtimes.base import Runtime, runtimes
from bench.suite.columns import columns
from bench.suite.findings import BASES, schema_of
from bench.suite.schema import summary
from bench.suite.validation_errors import limits, resolve, type_in_words
from bench.uncertainty.base import methods

KINDS: dict[str, Registry[Any]] = {
    "metrics": metrics,
    "probes": probes,
    "attacks": attacks,
    "steps": steps,
    "models": models,
    "methods": methods,
    "loaders": loaders,
    "sources": sources,
    "runtimes": runtimes,
}


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind in the plural; an unknown one raises ``UserError``."""
    registry = KINDS.get(kind) or KINDS.get(f"{kind}s")
    if registry is None:
        raise UserError.at("", f"unknown kind {kind!r}", nearest(kind, KINDS))
    return registry


def list_names(kind: str) -> list[tuple[str, str]]:
    """Every name of a kind (metrics, probes, attacks, steps, models, methods, ...) with its one line."""
    registry = registry_of(kind)
    return [(name, summary(registry.get(name))) for name in registry.names()]


def is_class_of(thing: Any, base: type[Any]) -> bool:
    """Whether it is a class of that kind."""
    return isinstance(thing, type) and issubclass(thing, base)


def kinds_of(name: str) -> list[str]:
    """The kinds in which a name is registered, or what ``module:object`` is; else ``UserError`` with the nearest."""
    if ":" in name:
        thing = load_object(name)
        kinds = [kind for kind, registry in KINDS.items() if is_class_of(thing, BASES[registry.kind])]
        if not kinds:
            raise UserError.at(
                "", f"{name!r} is no metric, probe, attack, step, model, method, loader, source or runtime"
            )
        return kinds
    kinds_with_name = [kind for kind, registry in KINDS.items() if name in registry.names()]
    if not kinds_with_name:
        raise UserError.at("", f"unknown name {name!r}", nearest(name, {n for r in KINDS.values() for n in r.names()}))
    return kinds_with_name


def describe(kind: str, name: str) -> str:
    """All there is to know of a registered name: what it does, its parameters, and what comes out."""
    registry = registry_of(kind)
    cls = registry.get(name)
    version = f", version {cls.version}" if hasattr(cls, "version") else ""
    lines = [f"{name} ({registry.kind}{version})", "", inspect.getdoc(cls) or ""]
    if hasattr(cls, "__pydantic_fields__"):
        lines += _parameters(cls)
    if issubclass(cls, Metric):
        lines += _values(cls)
    elif issubclass(cls, Probe):
        lines += _asks(cls)
    elif issubclass(cls, Step):
        lines += _kinds(cls)
    elif issubclass(cls, Runtime):
        lines += ["", f"runs: {', '.join(sorted(cls.kinds))}"]
    packages = _packages(cls)
    if packages:
        lines += ["", f"depends on the version of: {', '.join(packages)}"]
    return "\n".join(lines)


def _parameters(cls: type[Any]) -> list[str]:
    """Name, type with range, default and description of each parameter."""
    schema = schema_of(cls)
    rows = []
    for name, declared in schema.get("properties", {}).items():
        own = resolve(declared, schema)
        ranges = [text for option in own.get("anyOf", [own]) if (text := limits(option, name))]
        kind = ", ".join([type_in_words(own, schema), *ranges])
        optional = name not in schema.get("required", [])
        default = own.get("default")
        default_text = f"default {'none' if default is None else json.dumps(default)}" if optional else "required"
        rows.append((name, kind, default_text, own.get("description", "")))
    return ["", "parameters:", *(columns(rows) or ["  none"])]


def _values(cls: type[Metric]) -> list[str]:
    rows = [(value.name, value.kind, value.unit or "-", _direction(value)) for value in cls.values]
    example = _example(cls)
    asked = () if example is None else example.probes
    uses = {"labels": cls.labelled, "input gradients": any(probe.gradients for probe in asked)}
    needs = [word for word, needed in uses.items() if needed]
    for probe in asked:
        needs += [f"the reference's {needed.name}" for needed in probe.needs]
    lines = ["", f"values (family {cls.family}):", *columns(rows)]
    if asked:
        lines.append(f"  asks: {', '.join(probe.name for probe in asked)}")
    if cls.headline:
        lines.append(f"  stands for its family by: {cls.headline}")
    return [*lines, *([f"  needs {', '.join(needs)}"] if needs else [])]


def _asks(cls: type[Probe]) -> list[str]:
    """The arrays that a probe answers, and what it needs."""
    uses = {"labels": cls.labelled, "input gradients": cls.gradients, "the reference beside the network": cls.pair}
    needs = [word for word, needed in uses.items() if needed]
    lines = ["", f"answers: {', '.join(cls.arrays)}"]
    return [*lines, *([f"needs {', '.join(needs)}"] if needs else [])]


def _packages(cls: type[Any]) -> tuple[str, ...]:
    """Packages whose versions change what it gives; of a metric those of its probes."""
    if not issubclass(cls, Metric):
        return tuple(getattr(cls, "packages", ()))
    example = _example(cls)
    return () if example is None else tuple(sorted({name for probe in example.probes for name in probe.packages}))


def _example(cls: type[Metric]) -> Metric | None:
    """A metric with its required parameters at some allowed value; None where none is found."""
    schema = schema_of(cls)
    given: dict[str, Any] = {}
    for name in schema.get("required", []):
        own = resolve(schema["properties"][name], schema)
        least = own.get("minimum", own.get("exclusiveMinimum", 0) + 1)
        examples = {"number": least, "integer": least, "boolean": False, "string": "x"}
        given[name] = own["enum"][0] if own.get("enum") else examples.get(own.get("type", ""))
    try:
        return cls(**given)
    except ValidationError:
        return None


def _direction(value: Value) -> str:
    if isinstance(value, Change):
        draws = "" if value.coupling == "common" else ", independent draws"
        part = {"mean": "", "worst 5 %": "mean of the worst 5 %, ", "worst class": "largest over classes, "}[
            value.summary
        ]
        where = f", where the reference is {value.where.removeprefix(REFERENCE)}" if value.where else ""
        return f"{part}0 = same, power {value.power}{', counted' if value.count else ''}{draws}{where}"
    words = {"lower": "lower is better", "higher": "higher is better", "none": "neither direction is better"}
    text = words[value.better]
    if isinstance(value, Statistic) and value.no_interval:
        text += f"; no interval: {value.no_interval}"
    return text


def _kinds(cls: type[Step]) -> list[str]:
    """The kinds of networks that a step takes, makes and refuses, and what it needs."""
    lines = ["", f"takes: {', '.join(sorted(cls.consumes))}"]
    for kind in get_args(Kind):
        if kind in cls.consumes:
            # What comes out depends on what goes in, not on parameters: an object without any will answer.
            lines.append(f"makes of {kind}: {cls.produces(object.__new__(cls), kind)}")
    lines += [f"refuses {kind}: {why}" for kind, why in sorted(cls.refusal.items())]
    if cls.needs:
        depends = "" if cls.uses is Step.uses else ", as its parameters demand"
        lines.append(f"needs: {', '.join(sorted(cls.needs))}{depends}")
    return lines
