"""Recognition of TOML files that are suites which somebody wants collected."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest

if TYPE_CHECKING:
    from bench.study import Study


class Tally(TypedDict):
    """The contribution of one cell to a session; it travels with its report, from xdist's workers too."""

    suite: str
    reference: list[str]  # word of every gate
    baseline: list[str]  # word of every judgement
    untimed: int  # 1: a cost without a latency history


RUNS: pytest.StashKey[dict[Path, Study]] = pytest.StashKey()
TALLY: pytest.StashKey[Tally] = pytest.StashKey()
_CONFIGURED: pytest.StashKey[frozenset[Path]] = pytest.StashKey()
SUMS_NOTE = "integer_sums.note"  # the property that says a network is another function on other processors
STORE_NOTE = "store.note"  # what was damaged, or could not be kept
OWN = frozenset({"extends", "reference", "variant", "metric"})  # tables that no other tool's file is likely to have


def relative(path: Path, config: pytest.Config) -> str:
    """A path relative to the folder in which pytest was started."""
    return os.path.relpath(path, config.invocation_params.dir)


def wanted(path: Path, parent: pytest.Collector) -> bool:
    """Named on the command line or configured, and a suite by its content.

    A file with mistakes is still collected, and its problems are the collection's errors.
    """
    named = parent.session.isinitpath(path)
    return (named or path in configured(parent.config)) and resembles_suite(path)


def configured(config: pytest.Config) -> frozenset[Path]:
    """The files that the ini setting ``crbench_suites`` matches."""
    if _CONFIGURED not in config.stash:
        patterns = config.getini("crbench_suites")
        config.stash[_CONFIGURED] = frozenset(path for each in patterns for path in config.rootpath.glob(each))
    return config.stash[_CONFIGURED]


def resembles_suite(path: Path) -> bool:
    """Whether it has a table of a suite; a file that is no TOML may be a broken suite, unless it is pytest's own.

    >>> resembles_suite(Path("pyproject.toml"))
    False
    """
    if path.name in ("pyproject.toml", "pytest.toml", ".pytest.toml"):
        return False
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    return not OWN.isdisjoint(content)
