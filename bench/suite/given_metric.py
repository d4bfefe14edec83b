"""Metrics as a user hands them in: a name with parameters in one text, or an object."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from bench.data.base import EVALUATION
from bench.errors import UserError
from bench.families import FAMILIES
from bench.metrics.base import Metric
from bench.metrics.base import metrics as registered
from bench.registry import built, parse_named


def as_metrics(given: Sequence[Any], where: str, *, labelled: bool) -> tuple[Metric, ...]:
    """Metrics as given, each a text or an object.

    Without any: all that are meant for every network and need neither gradients nor a parameter, nor other samples than
    those that are compared on, nor so many forward passes that they limit their samples.
    """
    if isinstance(given, str | Metric):
        raise UserError.at(where, "it is one metric", "give a list of them")
    if len(given):
        return tuple(as_metric(item, where) for item in given)
    chosen = []
    order = list(FAMILIES)
    for cls in sorted(map(registered.get, registered.names()), key=lambda m: (order.index(m.family), m.name)):
        free = all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls))
        metric = cls() if free and cls.own_limit() is None else None
        if metric is None or not metric.by_default or metric.gradients:
            continue
        if any(probe.asked_on != EVALUATION for probe in metric.probes):
            continue
        if labelled or not metric.labelled:
            chosen.append(metric)
    return tuple(chosen)


def as_metric(given: Any, where: str) -> Metric:
    """One metric from its text, or the object itself; a class that was never registered is named by its module."""
    if isinstance(given, str):
        return parse_metric(given, where)
    if isinstance(given, type) and issubclass(given, Metric):
        raise UserError.at(where, f"it is the class {given.__name__}", f"give an object of it: {given.__name__}(...)")
    if not isinstance(given, Metric):
        raise UserError.at(
            where, f"an object of type {type(given).__name__} is no metric", "give its name, or an object of its class"
        )
    cls = type(given)
    if vars(cls).get("name") is None:  # an inherited name is another metric's
        cls.name = f"{cls.__module__}:{cls.__qualname__}"
    return given


def parse_metric(text: str, where: str = "--metric") -> Metric:
    """A metric as ``name`` or ``name[parameter=value,...]``; values are TOML literals."""
    name, given = parse_named(text, where, '"adversarial.pgd[epsilon=0.1]"')
    return built(_metric_class(name, where), name, given, where)


def _metric_class(name: str, where: str) -> type[Metric]:
    try:
        metric = registered.get(name, where)
    except UserError:
        raise
    except Exception as error:  # a user's own module may fail in any way
        what = f"{name!r} cannot be imported: {' '.join(f'{type(error).__name__}: {error}'.split())}"
        raise UserError.at(where, what, "mend its module") from error
    whole = isinstance(metric, type) and issubclass(metric, Metric) and is_dataclass(metric)
    if not whole or metric is Metric or inspect.isabstract(metric):
        raise UserError.at(where, f"{name!r} is no metric", "see crbench list metrics")
    return metric
