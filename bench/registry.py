"""Names to objects: built-in files, entry points, or ``module:object``."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import pkgutil
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from bench.errors import Problem, UserError
from bench.interrupts import contained

T = TypeVar("T")
C = TypeVar("C", bound=type)

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def parameters(cls: C) -> C:
    """Make a class a frozen, keyword-only dataclass whose values are checked when it is built.

    Unknown names, wrong types and values out of range raise ``pydantic.ValidationError``.
    """
    config = pydantic.ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)
    return cast(C, pydantic_dataclass(cls, frozen=True, kw_only=True, config=config))


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which known name was probably meant.

    >>> nearest("ptqq", ["ptq", "qat"])
    "did you mean 'ptq'?"
    >>> nearest("zebra", ["ptq", "qat"])
    'known: ptq, qat'
    """
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


class Registry(Generic[T]):
    """Objects of one kind by name.

    Built-ins are the modules of ``package``, imported at the first look-up; further ones come
    from the entry point group ``bench.<kind>`` or from ``module:object``.

    Args:
        kind: what they are called, such as "step".
        package: where the built-ins are.
        helpers: modules and folders of ``package`` that register nothing and may import torch and the like: a look-up
            leaves them out.
    """

    def __init__(self, kind: str, package: str, helpers: Iterable[str] = ()) -> None:
        self.kind = kind
        self.package = package
        self.helpers = frozenset(helpers)
        self._objects: dict[str, T] = {}
        self._discovered = False
        self._plugged = False

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated object; a name that is taken raises ``ValueError``."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{self.kind} name {name!r} must be lower case words joined by . - or _")

        def decorate(thing: T) -> T:
            if name in self._objects and self._objects[name] is not thing:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._objects[name] = thing
            thing.name = name  # type: ignore[attr-defined]
            return thing

        return decorate

    def _discover(self) -> None:
        if not self._discovered:
            self._discovered = True
            self._import(self.package)
        if self._plugged or _refused:
            return
        self._plugged = True
        for point in sorted(entry_points(group=f"bench.{self.kind}"), key=lambda p: p.name):
            if point.name in self._objects:
                raise ValueError(f"{self.kind} {point.name!r} is registered twice")
            with contained():
                self.register(point.name)(point.load())

    def _import(self, package: str) -> None:
        """Import a package and the modules below it that may register something, in alphabetical order."""
        root = importlib.import_module(package)
        for _, name, is_package in sorted(pkgutil.iter_modules(root.__path__), key=lambda module: module.name):
            if package == self.package and name in self.helpers:
                continue
            if is_package:
                self._import(f"{package}.{name}")
            else:
                importlib.import_module(f"{package}.{name}")

    def names(self) -> list[str]:
        """Every known name, sorted."""
        self._discover()
        return sorted(self._objects)

    def get(self, name: str, where: str = "") -> T:
        """The object of that name; an unknown one raises ``UserError`` with the nearest."""
        self._discover()
        if name in self._objects:
            return self._objects[name]
        if ":" in name:
            thing = load_object(name, where)
            if getattr(thing, "__dict__", {}).get("name") is None:  # an inherited name is another object's
                with contextlib.suppress(AttributeError, TypeError):  # of what takes no attributes: no metric, no step
                    thing.name = name
            return thing  # type: ignore[no-any-return]
        raise UserError.at(where, f"unknown {self.kind} {name!r}", nearest(name, self._objects))


_refused: list[bool] = []  # one entry for each ``refusing_code`` that is entered


@contextlib.contextmanager
def refusing_code(wanted: bool = True) -> Iterator[None]:
    """While it is entered, no code of others is loaded: neither ``module:object`` nor entry points."""
    if wanted:
        _refused.append(True)
    try:
        yield
    finally:
        if wanted:
            _refused.pop()


def check_code(path: str, where: str) -> None:
    """Raise ``UserError`` where code of others is refused.

    >>> with refusing_code():
    ...     check_code("nets:build", "factory")
    Traceback (most recent call last):
    ...
    bench.errors.UserError: factory: 'nets:build' is code of others, which is refused; leave --no-code out to trust it
    """
    if _refused:
        raise UserError.at(where, f"{path!r} is code of others, which is refused", "leave --no-code out to trust it")


def load_object(path: str, where: str = "") -> Any:
    """Import ``package.module:object``, looking in the current folder too.

    Raises:
        UserError: code of others is refused, there is no such module or object, or importing it fails.
    """
    check_code(path, where)
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        with contained():
            module = importlib.import_module(module_name)
            loaded = getattr(module, attribute, _refused)  # any object that no module holds
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise _unloadable(path, where, error) from error
        raise UserError.at(where, f"no module {module_name!r}", "give module:object that Python can import") from None
    except Exception as error:  # a user's own module may fail in any way
        raise _unloadable(path, where, error) from error
    if loaded is _refused:
        raise UserError.at(where, f"{module_name!r} has no {attribute!r}", nearest(attribute, vars(module)))
    return loaded


def _unloadable(path: str, where: str, error: Exception) -> UserError:
    """A module that cannot be imported, in one line."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return UserError.at(where, f"{path!r} cannot be imported: {reason}", "mend its module")


def parse_parameters(text: str, where: str) -> dict[str, Any]:
    """``key=value,...`` as a dictionary; values are TOML literals, or plain words.

    >>> parse_parameters("layout=NHWC,mean=[0.4, 0.5],scale=255", "--input")
    {'layout': 'NHWC', 'mean': [0.4, 0.5], 'scale': 255}

    Raises:
        UserError: a key is given twice, or a part has no ``=``.
    """
    values: dict[str, Any] = {}
    for part in filter(None, _split(text)):
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


def parse_named(text: str, where: str, example: str) -> tuple[str, dict[str, Any]]:
    """``name`` or ``name[key=value,...]`` as the name and its parameters; values are TOML literals, or plain words.

    >>> parse_named("pgd[steps=40]", "attacks[0]", "square[queries=500]")
    ('pgd', {'steps': 40})

    Raises:
        UserError: it cannot be read, or a key is given twice.
    """
    match = re.fullmatch(r"([\w.:-]+)(?:\[(.*)\])?", text.strip())
    if match is None:
        raise UserError.at(where, f"{text!r} cannot be read", f"write it as {example}")
    return match[1], parse_parameters(match[2] or "", f"{where}: {match[1]}")


def built(cls: Callable[..., T], name: str, given: Mapping[str, Any], where: str) -> T:
    """An object of a class of ``parameters`` that the user calls ``name``.

    Raises:
        UserError: every parameter that it has not, or whose value it refuses.
    """
    known = [field.name for field in fields(cast(Any, cls))]
    if unknown := [key for key in given if key not in known]:
        right = [nearest(key, known) if known else "" for key in unknown]
        raise UserError([
            Problem(where, f"{name} has no parameter {key!r}", near) for key, near in zip(unknown, right, strict=True)
        ])  # fmt: skip
    try:
        return cls(**given)
    except pydantic.ValidationError as error:
        raise UserError([
            Problem(
                where, f"{name}[{'.'.join(str(p) for p in each['loc'])}]: {each['msg']}", f"see crbench describe {name}"
            )
            for each in error.errors()
        ]) from None  # fmt: skip


def _split(text: str) -> list[str]:
    """Cut a text at the commas that no bracket holds.

    >>> _split('a=[1,2],b="x[k=1,l=2]"')
    ['a=[1,2]', 'b="x[k=1,l=2]"']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
