"""What a suite will do, and what there is to write in one, as lines of text."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args

from pydantic import ValidationError

from bench.compression.base import Step, steps
from bench.data.base import loaders
from bench.errors import UserError
from bench.metrics.base import Metric, metrics
from bench.metrics.values import Change, Statistic, Value
from bench.models.base import models
from bench.networks.network import Kind
from bench.probes.base import Probe, probes
from bench.registry import Registry, load_object, nearest
from bench.runtimes.base import Runtime, Target, runtimes
from bench.suite.findings import BASES, schema_of
from bench.suite.networks import can_run, kind_of
from bench.suite.nodes import outside_kind
from bench.suite.schema import summary
from bench.suite.suite import Suite, Variant
from bench.suite.validation_errors import limits, resolve, type_in_words

KINDS: dict[str, Registry[Any]] = {
    "metrics": metrics,
    "probes": probes,
    "steps": steps,
    "models": models,
    "loaders": loaders,
    "runtimes": runtimes,
}


def plural(count: int, word: str) -> str:
    """A count with its word.

    >>> plural(1, "thread"), plural(2, "copy")
    ('1 thread', '2 copies')
    """
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count} {word if count == 1 else many}"


def call(thing: Any, without: Sequence[str] = ()) -> str:
    """A registered object with the parameters that differ from their defaults."""
    plain = []
    for field in fields(thing):
        value = getattr(thing, field.name)
        default = type(thing).__pydantic_fields__[field.name].default
        if value != default and field.name not in without:
            shown = json.dumps(value, default=str)
            plain.append(f"{field.name}={shown}")
    return f"{thing.name}({', '.join(plain)})" if plain else str(thing.name)


def targets_of(suite: Suite, variant: Variant) -> tuple[Target, ...]:
    """The targets that a variant is measured on: those it names, else all that can run it."""
    if variant.targets is not None:
        return tuple(target for target in suite.targets if target.name in variant.targets)
    kind = final_kind(suite, variant)
    able = tuple(target for target in suite.targets if can_run(target, kind))
    return tuple(target for target in able if target.tells_apart(kind)) or able


def final_kind(suite: Suite, variant: Variant) -> str:
    """The kind of network at the end of a variant's chain."""
    outside = variant.outside
    kind = kind_of(suite.reference) if outside is None else outside_kind(outside)
    for step in variant.steps:
        kind = step.produces(kind)
    return kind


def describe_suite(suite: Suite) -> list[str]:
    """The plan of a suite: networks to make, and cells by variant, target and metric."""
    variants = [
        (
            variant.name,
            _chain(variant),
            [target.name for target in targets_of(suite, variant)],
            ", and its stages" if variant.stages else "",
        )
        for variant in suite.variants
    ]
    cells = sum(len(names) for _, _, names, _ in variants) * len(suite.metrics) * suite.replicates
    per_variant = [
        (name, chain, f"{', '.join(names)}: {plural(len(names) * len(suite.metrics), 'cell')}{stages}")
        for name, chain, names, stages in variants
    ]
    made = _networks(suite)
    lines = [f"suite {suite.name}"]
    spare = " at most, which no step demands" if suite.spare_calibration else ""
    samples = f"{suite.evaluation} evaluation, {suite.calibration} calibration samples{spare}"
    lines += [f"  data       {call(suite.loader)}: {samples}"]
    lines += [f"  reference  {_reference(suite)}", f"  yardstick  {_yardstick(suite)}"]
    lines += [f"networks to make: {made}", *_columns(per_variant)]
    lines += ["targets:", *_columns([(target.name, _target(target)) for target in suite.targets])]
    lines += ["metrics:", *_columns([_metric_row(suite, index) for index in range(len(suite.metrics))])]
    over = f" x {suite.replicates} replicates" if suite.replicates > 1 else ""
    return [*lines, f"cells: {cells} (variants x their targets x {plural(len(suite.metrics), 'metric')}{over})"]


def _networks(suite: Suite) -> str:
    """How many networks, equal beginnings of chains counted once."""
    chains = set()
    for variant in suite.variants:
        source = "" if variant.outside is None else str(variant.outside)
        names = [json.dumps(step.canonical(), default=str, sort_keys=True) for step in variant.steps]
        chains |= {(source, *names[: end + 1]) for end in range(len(names))}
        chains |= {(source,)} if source else set()
    copies = suite.yardstick.count if suite.yardstick.noisy else suite.yardstick.retrained
    copies = len(suite.yardstick.outside) or copies
    times = f" x {suite.replicates}" if suite.replicates > 1 else ""
    found = [plural(suite.replicates, "reference"), f"{plural(len(chains), 'network')}{times} by steps"]
    return ", ".join([found[0], plural(copies, "yardstick"), found[1]])


def _chain(variant: Variant) -> str:
    source = [] if variant.outside is None else [variant.outside.title]
    return " > ".join([*source, *(call(step) for step in variant.steps)]) or "the reference itself"


def _reference(suite: Suite) -> str:
    reference = suite.reference
    if reference.outside is not None:
        return reference.outside.title
    epochs = "" if reference.recipe is None else f", trained {plural(reference.recipe.epochs, 'epoch')}"
    return f"{call(reference.model)}{epochs}"


def _yardstick(suite: Suite) -> str:
    yardstick = suite.yardstick
    if yardstick.weight_noise_sigma is not None:
        return f"{plural(yardstick.count, 'noisy copy')} with noise of {yardstick.weight_noise_sigma:g} of the spread"
    if yardstick.weight_noise is not None:
        return f"{plural(yardstick.count, 'noisy copy')} that lose {yardstick.weight_noise:g} of accuracy"
    if yardstick.outside:
        return f"{plural(len(yardstick.outside), 'network')} on a par with the reference"
    few = "; 4 or more give gaps an interval" if 0 < yardstick.retrained < 4 else ""
    if not yardstick.retrained:
        return "none: every gap will be null"
    return f"the reference retrained from {plural(yardstick.retrained, 'other seed')}{few}"


def _target(target: Target) -> str:
    detail = "" if target.runtime == "torch" else f", {target.provider}, optimisation {target.optimisation}"
    return f"{target.runtime}, {plural(target.threads, 'thread')}{detail}"


def _metric_row(suite: Suite, index: int) -> tuple[str, ...]:
    use = suite.metrics[index]
    samples = use.metric.samples or suite.evaluation
    gates = ", ".join(f"{gate.value} {gate.rule} {gate.tolerance:g}" for gate in use.gates)
    shown = call(use.metric, without=("samples",))
    return shown, plural(samples, "sample"), f"gate: {gates}" if gates else ""


def _columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows aligned in columns."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind in the plural; an unknown one raises ``UserError``."""
    found = KINDS.get(kind) or KINDS.get(f"{kind}s")
    if found is None:
        raise UserError.at("", f"unknown kind {kind!r}", nearest(kind, KINDS))
    return found


def list_names(kind: str) -> list[tuple[str, str]]:
    """Every name of a kind (metrics, probes, steps, models, loaders, runtimes) with its one line."""
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
            raise UserError.at("", f"{name!r} is no metric, probe, step, model, loader or runtime")
        return kinds
    found = [kind for kind, registry in KINDS.items() if name in registry.names()]
    if not found:
        raise UserError.at("", f"unknown name {name!r}", nearest(name, {n for r in KINDS.values() for n in r.names()}))
    return found


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
        shown = f"default {'none' if default is None else json.dumps(default)}" if optional else "required"
        rows.append((name, kind, shown, own.get("description", "")))
    return ["", "parameters:", *(_columns(rows) or ["  none"])]


def _values(cls: type[Metric]) -> list[str]:
    rows = [(value.name, value.kind, value.unit or "-", _direction(value)) for value in cls.values]
    example = _example(cls)
    asked = () if example is None else example.probes
    uses = {"labels": cls.labelled, "input gradients": any(probe.gradients for probe in asked)}
    needs = [word for word, needed in uses.items() if needed]
    for probe in asked:
        needs += [f"the reference's {needed.name}" for needed in probe.needs]
    lines = ["", f"values (family {cls.family}):", *_columns(rows)]
    if asked:
        lines.append(f"  asks: {', '.join(probe.name for probe in asked)}")
    if cls.headline:
        lines.append(f"  stands for its family by: {cls.headline}")
    return [*lines, *([f"  needs {', '.join(needs)}"] if needs else [])]


def _asks(cls: type[Probe]) -> list[str]:
    """What a probe answers and needs."""
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
        return f"0 = same, power {value.power}{', counted' if value.count else ''}{draws}"
    words = {"lower": "lower is better", "higher": "higher is better", "none": "neither direction is better"}
    text = words[value.better]
    if isinstance(value, Statistic) and value.no_interval:
        text += f"; no interval: {value.no_interval}"
    return text


def _kinds(cls: type[Step]) -> list[str]:
    """What a step takes, makes of it, refuses and needs."""
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
