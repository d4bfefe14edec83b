"""Tables of a metric's details, for reading: what it found layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from bench.results import Cell
from bench.wording import limit, plain

Table: TypeAlias = dict[str, Any]  # title, heads, rows of texts
Side: TypeAlias = Mapping[str, Any]


def tables(cell: Cell) -> list[Table]:
    """Every table that a cell's details hold."""
    sides = side_of(cell, "reference"), side_of(cell, "variant")
    return [make(*sides) for key, make in TABLES.items() if any(key in side for side in sides)]


def side_of(cell: Cell, name: str) -> Side:
    """What a cell's details tell of the reference or of the variant."""
    told = cell.details.get(name)
    return told if isinstance(told, Mapping) else {}


def layer_norms(side: Side) -> dict[str, tuple[float, str]]:
    """The upper limit of each layer's norm and how it was found; layers that can only keep distances are left out.

    >>> layer_norms({"layers": {"conv1": [2.5, "SVD"], "relu": [1.0, "slopes"]}})
    {'conv1': (2.5, 'SVD')}
    """
    return {name: (upper, rule) for name, (upper, rule) in side.get("layers", {}).items() if upper != 1.0}


def _layers(reference: Side, variant: Side) -> Table:
    both = layer_norms(reference), layer_norms(variant)
    rows = [
        [plain(name), *("–" if name not in side else limit(side[name][0], "upper", 3) for side in both), plain(rule)]
        for name, (_, rule) in {**both[0], **both[1]}.items()
    ]
    heads = ["layer", "reference", "variant", "found by"]
    return {"title": "Largest norm of each layer, l2 to l2, at most", "heads": heads, "rows": rows}


# what metrics keep in their details, by its name there
TABLES: Final[dict[str, Callable[[Side, Side], Table]]] = {"layers": _layers}
