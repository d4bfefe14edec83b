"""Networks of a user's own, measured beside the variants of a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.errors import Problem, UserError
from bench.suite.check_networks import can_run
from bench.suite.given_network import as_network
from bench.suite.planned_networks import outside_kind
from bench.suite.suite import Outside, Suite, Variant
from bench.suite.tables import NAME_PATTERN, NAME_RULE


def with_variants(suite: Suite, given: Mapping[str, Any]) -> Suite:
    """The suite with further variants by name; they take their input as its reference does, or as they say themselves.

    Raises:
        UserError: a name that no suite takes, one that is taken, what is no network, or one that no target of the suite
            runs; all at once.
    """
    taken = {variant.name.casefold() for variant in suite.variants} | {"reference"}
    further, problems = [], []
    outside = suite.reference.outside
    for name, network in given.items():
        where = f"variants[{name!r}]"
        if not re.search(NAME_PATTERN, name):
            problems.append(Problem(where, "no name of a variant", NAME_RULE))
        elif name.casefold() in taken:
            problems.append(Problem(where, "the name is taken", "give another name"))
        taken.add(name.casefold())
        try:
            item = as_network(network, where)
        except UserError as error:
            problems += error.problems
            continue
        if not item.input and outside is not None:
            item = replace(item, input=outside.input)
        problems += _without_target(suite, item, where)
        further.append(Variant(name, outside=item))
    if problems:
        raise UserError(problems)
    return replace(suite, variants=(*suite.variants, *further)) if further else suite


def _without_target(suite: Suite, network: Outside, where: str) -> list[Problem]:
    """The problem of a network that no target of the suite runs; nothing where one does."""
    kind = outside_kind(network)
    if any(can_run(target, kind) for target in suite.targets):
        return []
    runtimes = ", ".join(f"{target.name!r} has runtime {target.runtime!r}" for target in suite.targets)
    own, name = ("function",) * 2 if kind == "function" else ("onnxruntime", "onnx")
    what = f"no target runs {'a function of arrays' if kind == 'function' else f'an {kind} network'}: {runtimes}"
    lines = f'name = "{name}" and runtime = "{own}"'
    return [Problem(where, what, f"add to {suite.path.name} a table [[target]] with the lines {lines}")]
