"""A network's declared input, as one text on the command line or keywords in Python."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bench.errors import Problem, UserError
from bench.suite.tables import InputTable
from bench.suite.validation_errors import explain


def parse_parameters(text: str, where: str) -> dict[str, Any]:
    """``key=value,...`` as a dictionary; values are TOML literals, or plain words.

    >>> parse_parameters("layout=NHWC,mean=[0.4, 0.5],scale=255", "--input")
    {'layout': 'NHWC', 'mean': [0.4, 0.5], 'scale': 255}

    Raises:
        UserError: a key is given twice, or a part has no ``=``.
    """
    values: dict[str, Any] = {}
    for part in filter(None, re.split(r",(?![^\[]*\])", text)):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign:
            raise UserError.at(where, f"{part.strip()!r} is not key=value", "write it as layout=NHWC,scale=255")
        if name in values:
            raise UserError.at(where, f"given {name!r} twice", "give it once")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):  # a number that Python does not read is a text too
            values[name] = value
    return values


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
