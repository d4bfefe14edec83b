"""Networks of a user's own, measured beside the variants of a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.errors import Problem, UserError
from bench.suite.given_network import as_network
from bench.suite.suite import Suite, Variant
from bench.suite.tables import NAME_PATTERN, NAME_RULE


def with_variants(suite: Suite, given: Mapping[str, Any]) -> Suite:
    """The suite with further variants by name; they take their input as its reference does, or as they say themselves.

    Raises:
        UserError: a name that no suite takes, one that is taken, or what is no network; all at once.
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
        further.append(Variant(name, outside=item))
    if problems:
        raise UserError(problems)
    return replace(suite, variants=(*suite.variants, *further)) if further else suite
