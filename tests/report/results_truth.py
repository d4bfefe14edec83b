"""What results.json says of each row of a page, by its key; with nothing of the code that draws it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

HARMS = ("quality", "pair")


def canonical(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)


def replicate(told: dict[str, Any]) -> str:
    """What a key ends with."""
    number = told["replicate"]
    return "" if number == 0 else f"#{'all' if number is None else number}"


@dataclass(frozen=True)
class Truth:
    """The results of the runs of one page, as the file holds them, by what the page calls them."""

    runs: dict[str, dict[str, Any]]

    @cached_property
    def rows(self) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]]]:
        """(run, variant or nothing for a reference, its cells) by key."""
        found: dict[str, Any] = {}
        for name, run in self.runs.items():
            for cell in run["cells"]:
                cell["like"] = cell["metric"], canonical(cell["params"])
            for variant in run["variants"]:
                place = variant["target"], variant["replicate"]
                mark = replicate(variant)
                held = [cell for cell in run["cells"] if (cell["target"], cell["replicate"]) == place]
                found.setdefault(f"{name}/reference/reference/{place[0]}{mark}", (run, None, held))
                mine = [cell for cell in held if cell["variant"] == variant["name"]]
                found[f"{name}/variant/{variant['name']}/{place[0]}{mark}"] = run, variant, mine
        return found

    @cached_property
    def ranks(self) -> dict[tuple[str, str, str, str], tuple[int, int]]:
        """The first and last place by key of a row and (metric, parameters, value)."""
        return {
            (place, rank["metric"], canonical(rank["params"]), rank["value"]): (entry["low"], entry["high"])
            for name, run in self.runs.items()
            for rank in run["ranks"]
            for entry in rank["entries"]
            for place in [f"{name}/variant/{entry['variant']}/{entry['target']}{replicate(rank)}"]
        }

    def columns(self, shown: Sequence[str]) -> dict[str, tuple[str, str, str] | None]:
        """From the name of a column to (metric, parameters, value); nothing of columns that are made of others."""
        named: dict[tuple[str, str, str], dict[str, Any]] = {}
        for run in self.runs.values():
            for cell in run["cells"]:
                for value in cell["values"]:
                    named[cell["metric"], canonical(cell["params"]), value] = cell["params"]
        found: dict[str, tuple[str, str, str] | None] = {}
        for name in shown:
            match = [
                key
                for key, parameters in named.items()
                if name.startswith(key[0])
                and name.endswith(f".{key[2]}")
                and _within(name[len(key[0]) : -len(key[2]) - 1], parameters)
            ]
            assert len(match) <= 1, (name, match)
            found[name] = match[0] if match else None
        return found


def _within(apart: str, parameters: dict[str, Any]) -> bool:
    """Whether the words in brackets are what these parameters say."""
    if not apart:
        return True
    if not (apart.startswith("[") and apart.endswith("]")):
        return False
    rest = apart[1:-1]
    for part in re.split(r",(?=[a-z_]+=)", rest):
        name, _, value = part.partition("=")
        if str(parameters.get(name)) != value:
            return False
    return True


def pair(limits: Any) -> list[float]:
    """The ends of an interval that are known."""
    return [end for end in limits or () if end is not None]


def within_floor(value: dict[str, Any]) -> bool:
    """Whether a figure may be called the same within arithmetic: it does not exceed its floor."""
    return value["estimate"] is not None and abs(value["estimate"]) <= (value["numerical_floor"] or 0.0)
