"""The table of operators: one handler each, by domain, name and opset."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias, TypeVar

from bench.onnx_import.rounding import Rounding
from bench.onnx_import.saturation import Summing

Handler: TypeAlias = Callable[..., Any]
_H = TypeVar("_H", bound=Handler)


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A node as its handler sees it: attributes are Python values, torch tensors, or an ``ExecutableGraph``."""

    name: str
    operator: str
    domain: str
    opset: int  # the version of its domain that the file imports
    inputs: tuple[str, ...]  # "" where an optional input is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rounding: Rounding = field(default_factory=Rounding)
    summing: Summing = field(default_factory=Summing)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    def number(self, name: str, default: float) -> float:
        """An attribute that is a number, or its default."""
        return float(self.attributes.get(name, default))

    @property
    def label(self) -> str:
        """The node's name, or that of what it makes."""
        return self.name or self.outputs[0]

    def __str__(self) -> str:
        """The node as errors name it."""
        domain = f"{self.domain}." if self.domain else ""
        return f"node {self.label!r} ({domain}{self.operator}, opset {self.opset})"


@dataclass(frozen=True)
class Entry:
    """A handler: ``handler(node, *inputs)`` returns one value, or a tuple of them."""

    handler: Handler
    since: int
    codes: bool  # works on integer codes as on any numbers and keeps their type: moving, selecting, comparing size


_TABLE: dict[tuple[str, str], list[Entry]] = {}


def operator(*names: str, domain: str = "", since: int = 1, codes: bool = False) -> Callable[[_H], _H]:
    """Register a handler for opsets from ``since``; a later entry for a higher ``since`` takes over from there.

    Args:
        names: the operators it serves.
        domain: "" for ONNX's own, else such as ``com.microsoft``.
        since: the opset in which the semantics began.
        codes: whether ``Codes`` may pass through: the handler gets the numbers, and what it returns are codes again.

    Raises:
        ValueError: the same operator twice from the same opset.
    """

    def enter(handler: _H) -> _H:
        for name in names:
            entries = _TABLE.setdefault((domain, name), [])
            if any(entry.since == since for entry in entries):
                raise ValueError(f"{domain}.{name} from opset {since} is in the table already")
            entries.append(Entry(handler, since, codes))
            entries.sort(key=lambda entry: entry.since)
        return handler

    return enter


def lookup(domain: str, name: str, opset: int) -> Entry | None:
    """The handler for an operator in an opset; None where there is none."""
    load_operators()
    entries = _TABLE.get(("" if domain == "ai.onnx" else domain, name), [])
    position = bisect_right([entry.since for entry in entries], opset)
    return entries[position - 1] if position else None


def supported() -> list[tuple[str, str, int]]:
    """Every operator in the table with the first opset served: (domain, name, opset), sorted."""
    load_operators()
    return sorted((domain, name, entries[0].since) for (domain, name), entries in _TABLE.items())


@cache
def load_operators() -> None:
    """Import every module of ``operators``, once, which fills the table."""
    import importlib
    import pkgutil

    from bench.onnx_import import operators

    for module in pkgutil.iter_modules(operators.__path__):
        importlib.import_module(f"{operators.__name__}.{module.name}")
