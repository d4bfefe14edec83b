"""Whether the results of a suite can be reused in another process, and warnings where they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.identity import is_transient, tell_not_reused
from bench.suite.suite import Outside, Suite


def outside_networks(suite: Suite) -> Iterator[Outside]:
    """Every network of a suite that comes from outside."""
    candidates = [suite.reference.outside, *(variant.outside for variant in suite.variants), *suite.yardstick.outside]
    return (item for item in candidates if item is not None)


def taken_again(suite: Suite) -> Suite:
    """The suite with its functions in memory under new names: between two plans they may have become others."""

    def again(item: Outside | None) -> Outside | None:
        return item if item is None or item.held is None else replace(item, held=item.held.again())

    if all(item.held is None for item in outside_networks(suite)):
        return suite
    marks = tuple(mark for item in suite.yardstick.outside if (mark := again(item)) is not None)
    return replace(
        suite,
        reference=replace(suite.reference, outside=again(suite.reference.outside)),
        variants=tuple(replace(variant, outside=again(variant.outside)) for variant in suite.variants),
        yardstick=replace(suite.yardstick, outside=marks),
    )


def is_reusable(suite: Suite) -> bool:
    """Whether every network, metric and probe of a suite may be reused in another process."""
    networks = all(item.held is None or item.held.reusable for item in outside_networks(suite))
    asked = [thing for use in suite.metrics for thing in (use.metric, *use.metric.probes)]
    return networks and not any(is_transient(type(thing)) for thing in asked)


def tell_of_reuse(suite: Suite) -> None:
    """Warn, once each, of networks in memory without a key and of metrics that were defined in a notebook or script."""
    for item in outside_networks(suite):
        if item.held is not None and not item.held.reusable:
            what = "function" if item.held.kind == "function" else "module"
            advice = f'bench.network({what}, key="a name that changes with its code")'
            tell_not_reused(f"the {what} {item.title!r}", f"vouch for it with {advice}")
    for use in suite.metrics:
        named: dict[str, type[Any]] = {f"the metric {use.metric.name!r}": type(use.metric)}
        named |= {f"the probe {probe.name!r}": type(probe) for probe in use.metric.probes}
        for title, cls in named.items():
            if is_transient(cls):
                tell_not_reused(title, "define it in a module that can be imported")
