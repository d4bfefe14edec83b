"""Turns pydantic's validation errors into problems of the suite file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

from bench.errors import Problem
from bench.registry import nearest

KeyPath: TypeAlias = tuple[str | int, ...]
Schema: TypeAlias = Mapping[str, Any]

TYPES = {"number": "a number", "integer": "a whole number", "string": "a text", "boolean": "true or false"}
TYPES |= {"object": "a table", "array": "a list"}
PLURALS = {"number": "numbers", "integer": "whole numbers", "string": "texts", "object": "tables", "array": "lists"}
UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
LIMITS = {
    "less_than": ("lt", "is not below"),
    "less_than_equal": ("le", "is above"),
    "greater_than": ("gt", "is not above"),
    "greater_than_equal": ("ge", "is below"),
}


def spell(key_path: KeyPath) -> str:
    """A path of keys in the document as a person writes it.

    >>> spell(("variant", 2, "steps", 0, "ratio"))
    'variant[2].steps[0].ratio'
    """
    text = ""
    for part in key_path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if re.fullmatch(r"[\w:-]+", part) else json.dumps(part)
            text += f".{key}" if text else key
    return text


def show(value: Any) -> str:
    """A value as it stands in TOML, shortened.

    >>> show(True), show("a"), show({"x": 1})
    ('true', "'a'", 'a table')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str | list | float | int) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow ``$ref`` within the root schema; what stands beside it is kept."""
    while "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def branches(schema: Schema, root: Schema) -> list[Schema]:
    """The alternatives of a schema; null, which TOML cannot write, is left out."""
    schema = resolve(schema, root)
    options = [resolve(option, root) for option in schema.get("anyOf", schema.get("oneOf", [schema]))]
    return [option for option in options if option.get("type") != "null"]


def limits(schema: Schema, name: str) -> str:
    """The allowed range.

    >>> limits({"exclusiveMinimum": 0, "maximum": 1}, "ratio")
    '0 < ratio <= 1'
    """
    low = [(schema[key], sign) for key, sign in (("exclusiveMinimum", "<"), ("minimum", "<=")) if key in schema]
    high = [(schema[key], sign) for key, sign in (("exclusiveMaximum", "<"), ("maximum", "<=")) if key in schema]
    after = "".join(f" {sign} {value:g}" for value, sign in high)
    if low and not high:
        return f"{name} {low[0][1].replace('<', '>')} {low[0][0]:g}"
    before = "".join(f"{value:g} {sign} " for value, sign in low)
    return f"{before}{name}{after}" if after else ""


def type_in_words(schema: Schema, root: Schema, plural: bool = False) -> str:
    """The type of a schema's value, in words.

    >>> type_in_words({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}, {})
    'a list of whole numbers'
    >>> type_in_words({"enum": ["l1", "l2"]}, {})
    "one of 'l1', 'l2'"
    """
    words = []
    for option in branches(schema, root):
        if "enum" in option or "const" in option:
            choices = option.get("enum", [option.get("const")])
            words.append(f"one of {', '.join(map(repr, choices))}" if len(choices) > 1 else repr(choices[0]))
        elif option.get("type") == "array" and isinstance(option.get("items"), Mapping):
            words.append(f"{'lists' if plural else 'a list'} of {type_in_words(option['items'], root, plural=True)}")
        else:
            names = PLURALS if plural else TYPES
            words.append(names.get(str(option.get("type")), "values" if plural else "a value"))
    return " or ".join(dict.fromkeys(words))


def expectation(schema: Schema, root: Schema, name: str) -> str:
    """Type and range of a key.

    >>> expectation({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {}, "ratio")
    'a number, 0 < ratio < 1'
    """
    ranges = [text for option in branches(schema, root) if (text := limits(option, name))]
    return ", ".join([type_in_words(schema, root), *dict.fromkeys(ranges)])


def properties(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The keys a table may have, over all its alternatives."""
    declared: dict[str, Schema] = {}
    for option in branches(schema, root):
        declared |= option.get("properties", {})
    return declared


def step_into(schema: Schema, part: str | int, root: Schema) -> Schema:
    """The schema of a key or of a list's element; empty where nothing is known."""
    for option in branches(schema, root):
        if isinstance(part, str) and part in option.get("properties", {}):
            return option["properties"][part]  # type: ignore[no-any-return]
        if isinstance(part, int) and isinstance(option.get("items"), Mapping):
            return option["items"]  # type: ignore[no-any-return]
        if isinstance(part, str) and isinstance(option.get("additionalProperties"), Mapping):
            return option["additionalProperties"]  # type: ignore[no-any-return]
    return {}


class Located(NamedTuple):
    """An error: its path of keys, its own schema, that of the table it stands in, and what is written there."""

    key_path: KeyPath
    own: Schema
    parent: Schema
    written: Any


def locate(location: Sequence[str | int], value: Any, schema: Schema) -> Located:
    """Find the keys that lead to an error in the document.

    Parts that name a branch of a union are no keys of the document and are left out.
    """
    key_path: list[str | int] = []
    current, parent = schema, schema
    for index, part in enumerate(location):
        last = index == len(location) - 1
        inside = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        known = isinstance(part, str) and part in properties(current, schema)
        if not inside and not (last and known):
            continue
        parent, current = current, step_into(current, part, schema)
        value = value[part] if inside else None
        key_path.append(part)
    return Located(tuple(key_path), current, parent, value)


def explain(error: ValidationError, value: Any, schema: Schema) -> list[tuple[KeyPath, Problem]]:
    """Every problem with its path of keys, relative to ``value``; one a path."""
    problems: dict[KeyPath, Problem] = {}
    for item in error.errors(include_url=False):
        key_path, own, parent, written = locate(item["loc"], value, schema)
        name = str(key_path[-1]) if key_path and isinstance(key_path[-1], str) else "value"
        given, kind = item["input"], item["type"]
        if kind in UNKNOWN_KEY:
            problem = Problem("", "unknown key", nearest(name, properties(parent, schema)))
        elif kind == "missing":
            words = own.get("description") or expectation(own, schema, name)
            problem = Problem("", "is missing", f"give {words}")
        elif kind in LIMITS:
            key, relation = LIMITS[kind]
            right = f"give {expectation(own, schema, name)}"
            problem = Problem("", f"{show(given)} {relation} {item['ctx'][key]:g}", right)
        elif kind == "literal_error":
            choices = [str(c) for option in branches(own, schema) for c in option.get("enum", [option.get("const")])]
            problem = Problem("", f"unknown value {show(given)}", nearest(str(given), choices))
        elif kind == "string_pattern_mismatch":
            problem = Problem("", f"{show(given)} cannot stand here", f"give {own.get('description', 'another text')}")
        elif kind == "string_too_long":
            problem = Problem("", f"{show(given)} is too long", f"give at most {item['ctx']['max_length']} characters")
        elif kind == "too_short":
            problem = Problem("", "is empty", f"give {own.get('description', 'at least one')}")
        elif kind in {"value_error", "assertion_error"}:
            problem = Problem("", str(item["ctx"]["error"]))
        elif own:
            what = f"{show(written)} is not {type_in_words(own, schema)}"
            problem = Problem("", what, f"give {expectation(own, schema, name)}")
        else:
            problem = Problem("", f"{show(given)}: {item['msg'][0].lower()}{item['msg'][1:]}")
        problems.setdefault(key_path, problem)
    return list(problems.items())
