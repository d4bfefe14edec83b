"""Collects every problem of a suite before any is raised."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bench.attacks.base import Attack
from bench.compression.base import Step
from bench.data.base import Loader
from bench.data.sources.base import Source
from bench.errors import Problem, UserError
from bench.interrupts import contained
from bench.limits import Limit
from bench.metrics.base import Metric
from bench.models.base import Model
from bench.outside_networks.packaged import is_packaged, packaged
from bench.probes.base import Probe
from bench.registry import Registry
from bench.runtimes.base import Runtime
from bench.suite.extends import Document, is_file
from bench.suite.validation_errors import KeyPath, explain, show, spell
from bench.uncertainty.base import Method

T = TypeVar("T")
BASES: dict[str, type[Any]] = {
    "loader": Loader,
    "source": Source,
    "model": Model,
    "method": Method,
    "step": Step,
    "probe": Probe,
    "attack": Attack,
    "metric": Metric,
    "runtime": Runtime,
}


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    """The validator of a class, built once."""
    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def schema_of(cls: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a class's parameters."""
    return _adapter(cls).json_schema()


def _date(value: Any) -> dict[str, str]:
    """Dates are TOML and not JSON: a table is what no key of a suite takes in their place."""
    return {"date": str(value)}


class Findings:
    """The problems of one document, in the order they were found."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: dict[tuple[str, str], Problem] = {}

    def add(self, key_path: KeyPath, what: str, right: str = "") -> None:
        """Add a problem; the same one is added once."""
        where = spell(key_path)
        if (origin := self.document.origin(key_path)) != self.document.path:
            where += f" (in {origin.name})"
        self.problems.setdefault((where, what), Problem(where, what, right))

    def limited(self, limit: Limit, given: int, key_path: KeyPath) -> bool:
        """Add a problem where a count exceeds a limit; returns whether it does."""
        if given <= limit.most:
            return False
        self.add(key_path, limit.exceeded(given), limit.advice)
        return True

    def stop(self) -> None:
        """Raise all problems together, if there are any."""
        if self.problems:
            raise UserError(list(self.problems.values()))

    def parse(
        self, cls: type[T], raw: Any, key_path: KeyPath, quiet: bool = False, moved: dict[str, KeyPath] | None = None
    ) -> T | None:
        """Build an object from a table, strictly; None where it has problems, which are noted unless ``quiet``.

        ``moved`` says where a key really stands.
        """
        try:
            built: T = _adapter(cls).validate_json(json.dumps(raw, default=_date), strict=True)
            return built
        except ValidationError as error:
            problems = explain(error, raw, schema_of(cls))
        except UserError as error:
            problems = [((), problem) for problem in error.problems]
        for within, problem in problems if not quiet else []:
            at = (*key_path, *within)
            if moved and within and within[0] in moved:
                at = (*moved[str(within[0])], *within[1:])
            what = f"{problem.where}: {problem.what}" if problem.where else problem.what
            self.add(at, what, problem.right)
        return None

    def build(
        self, cls: type[T], raw: dict[str, Any], key_path: KeyPath, moved: dict[str, KeyPath] | None = None
    ) -> T | None:
        """A registered class with these parameters; paths among them are relative to the file that gives them."""
        if not hasattr(cls, "__pydantic_fields__"):
            self.add(key_path, f"{cls.__name__} declares no parameters", "decorate it with bench.registry.parameters")
            return None
        try:
            with contained():
                thing = self.parse(cls, raw, key_path, moved=moved)
        except Exception as error:  # a user's own class may fail in any way
            if cls.__module__.startswith("bench."):
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            self.add(key_path, f"{cls.__name__} cannot be made: {reason}", "mend its module")
            return None
        paths = {}
        for name in raw if thing is not None else ():
            if isinstance(value := getattr(thing, name), Path):
                own = schema_of(cls)["properties"].get(name, {})
                find = self.folder if own.get("format") == "directory-path" else self.file
                paths[name] = find(str(value), (*key_path, name))
        if None in paths.values():
            return None
        return replace(thing, **paths) if paths else thing  # type: ignore[type-var]

    def find(self, registry: Registry[Any], name: str, key_path: KeyPath) -> type[Any] | None:
        """The registered class of that name, or ``module:object``; None where there is none."""
        try:
            cls = registry.get(name)
        except UserError as error:
            for problem in error.problems:
                self.add(key_path, problem.what, problem.right)
            return None
        except Exception as error:  # a user's own module may fail in any way
            self.add(key_path, f"{name!r} cannot be imported: {type(error).__name__}: {error}".splitlines()[0])
            return None
        base = BASES[registry.kind]
        if not isinstance(cls, type) or not issubclass(cls, base) or cls is base or inspect.isabstract(cls):
            self.add(
                key_path, f"{name!r} is no {registry.kind}", f"give a subclass of {base.__module__}.{base.__name__}"
            )
            return None
        return cls

    def file(self, name: str, key_path: KeyPath, suffixes: tuple[str, ...] = ()) -> Path | None:
        """The path of an outside file, relative to the file that names it or in a package; None where it is no use."""
        path = self._located(name, key_path)
        if path is None:
            return None
        suffix = path.suffix.lower()
        if suffix in {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"} and suffixes:
            right = (
                "crbench convert writes the weights as safetensors"
                if ".safetensors" in suffixes
                else "export it to ONNX"
            )
            self.add(key_path, f"{name!r} may hold a pickle, which is never read", right)
        elif suffixes and suffix not in suffixes:
            self.add(
                key_path, f"{name!r} does not end in {' or '.join(suffixes)}", f"give a {' or '.join(suffixes)} file"
            )
        elif not is_file(path):
            self.add(
                key_path, f"{show(name)} is no file", f"paths are relative to {self.document.origin(key_path).name}"
            )
        else:
            return path
        return None

    def folder(self, name: str, key_path: KeyPath) -> Path | None:
        """The path of an outside folder, relative to the file that names it; None where there is none."""
        path = self._located(name, key_path)
        if path is None or path.is_dir():
            return path
        self.add(key_path, f"{show(name)} is no folder", f"paths are relative to {self.document.origin(key_path).name}")
        return None

    def _located(self, name: str, key_path: KeyPath) -> Path | None:
        """The target of a name: in an installed package, or from the file that gives it; None where there is none."""
        if not is_packaged(name):
            return self.document.origin(key_path).parent / name
        try:
            return packaged(name)
        except UserError as error:
            for problem in error.problems:
                self.add(key_path, problem.what, problem.right)
            return None
