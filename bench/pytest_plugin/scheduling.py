"""Scheduling of items on xdist's workers: all cells of a variant go to one, where they share networks in memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadGroupScheduling

from bench.errors import UserError
from bench.pytest_plugin.names import safe
from bench.suite.extends import read_document


class ByVariant(LoadGroupScheduling):  # type: ignore[misc]
    """Cells by suite and variant; every other item as with ``--dist loadgroup``."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        if not file.endswith(".toml"):
            return str(super()._split_scope(nodeid))
        return f"{file}::{group_of(name, variants_in(self.config.rootpath / file))}"


def group_of(name: str, variants: tuple[str, ...]) -> str:
    """The variant whose name an item's begins with; the longest, where one begins another.

    >>> group_of("fold-wide-torch-cost", ("fold", "fold-wide", "prune"))
    'fold-wide'
    """
    return max((variant for variant in variants if name.startswith(f"{variant}-")), key=len, default=name)


@cache
def variants_in(path: Path) -> tuple[str, ...]:
    """The names of a suite's variants, as items write them; none where it cannot be read."""
    try:
        tables: Any = read_document(path).content.get("variant", [])
    except UserError:
        return ()
    return tuple(safe(table["name"]) for table in tables if isinstance(table, dict) and "name" in table)
