"""A network's declared input, as one text on the command line or keywords in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bench.errors import Problem, UserError
from bench.registry import parse_parameters
from bench.suite.tables import InputTable
from bench.suite.validation_errors import explain


def parse_input(given: str | Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read what is declared of a network's input, as ``InputSpec.canonical`` has it.

    Args:
        given: ``layout=NHWC,dtype=uint8,scale=255,mean=[...],std=[...],output=probabilities``, or the same as a
            mapping; the keys of ``input`` in a suite.
        where: what errors name.

    >>> parse_input("layout=NHWC,scale=255", "--input")
    {'scale': 255.0, 'layout': 'NHWC'}

    Raises:
        UserError: an unknown key, a value of another kind, or keys that do not fit each other.
    """
    raw = parse_parameters(given, where) if isinstance(given, str) else dict(given)
    try:
        table = InputTable.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        problems = explain(error, raw, InputTable.model_json_schema())
        raise UserError(
            [
                Problem(f"{where}: {'.'.join(map(str, key_path))}".rstrip(": "), p.what, p.right)
                for key_path, p in problems
            ]
        ) from None
    if wrong := table.contradiction():
        raise UserError.at(where, *wrong)
    return table.declared()
