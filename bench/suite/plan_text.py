"""The plan of a suite as lines of text: networks to make, targets, metrics, cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bench.runtimes.base import Target
from bench.suite.check_networks import can_run, kind_of
from bench.suite.columns import columns
from bench.suite.planned_networks import outside_kind
from bench.suite.suite import Suite, Variant


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
            text = json.dumps(value, default=str)
            plain.append(f"{field.name}={text}")
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
    counts = [sum(use.on(target) for target in names for use in suite.metrics) for _, _, names, _ in variants]
    cells = sum(counts) * suite.replicates
    per_variant = [
        (name, chain, f"{', '.join(names)}: {plural(count, 'cell')}{stages}")
        for (name, chain, names, stages), count in zip(variants, counts, strict=True)
    ]
    made = _networks(suite)
    lines = [f"suite {suite.name}"]
    spare = " at most, which no step demands" if suite.spare_calibration else ""
    samples = f"{suite.evaluation} evaluation, {suite.calibration} calibration samples{spare}"
    lines += [f"  data       {call(suite.loader)}: {samples}"]
    lines += [f"  reference  {_reference(suite)}", f"  yardstick  {_yardstick(suite)}"]
    lines += [f"networks to make: {made}", *columns(per_variant)]
    lines += ["targets:", *columns([(target.name, _target(target)) for target in suite.targets])]
    lines += ["metrics:", *columns([_metric_row(suite, index) for index in range(len(suite.metrics))])]
    over = f" x {suite.replicates} replicates" if suite.replicates > 1 else ""
    return [*lines, f"cells: {cells} (variants x their targets x {plural(len(suite.metrics), 'metric')}{over})"]


def _networks(suite: Suite) -> str:
    """The number of networks, equal beginnings of chains counted once."""
    chains = set()
    for variant in suite.variants:
        source = "" if variant.outside is None else str(variant.outside)
        names = [json.dumps(step.canonical(), default=str, sort_keys=True) for step in variant.steps]
        chains |= {(source, *names[: end + 1]) for end in range(len(names))}
        chains |= {(source,)} if source else set()
    copies = suite.yardstick.count if suite.yardstick.noisy else suite.yardstick.retrained
    copies = len(suite.yardstick.outside) or copies
    times = f" x {suite.replicates}" if suite.replicates > 1 else ""
    counts = [plural(suite.replicates, "reference"), f"{plural(len(chains), 'network')}{times} by steps"]
    return ", ".join([counts[0], plural(copies, "yardstick"), counts[1]])


def _chain(variant: Variant) -> str:
    source = [] if variant.outside is None else [variant.outside.title]
    return " > ".join([*source, *(call(step) for step in variant.steps)]) or "the reference itself"


def _reference(suite: Suite) -> str:
    reference = suite.reference
    if reference.outside is not None:
        return reference.outside.title
    epochs = "" if reference.recipe is None else f", trained {plural(reference.recipe.epochs, 'epoch')}"
    by = "" if reference.method is None else f" by {call(reference.method)}"
    return f"{call(reference.model)}{epochs}{by}"


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
    samples = use.metric.count(suite.evaluation)
    gates = ", ".join(f"{gate.value} {gate.rule} {gate.tolerance:g}" for gate in use.gates)
    text = call(use.metric, without=("samples",))
    if use.targets is not None:
        text += f" on {', '.join(use.targets)}"
    return text, plural(samples, "sample"), f"gate: {gates}" if gates else ""
