"""Reading a suite's TOML, and ``extends``, its only composition.

Merge rule: a table of the extending file is laid over the base's, key by key, at every depth; everything else,
arrays of tables included, replaces what the base says. A table that chooses another loader, another source of the
reference or another yardstick starts afresh: keys of the base that belonged to the former choice are dropped.
``name`` is not inherited, since two suites of one name would write to one folder. A path is relative to the file
in which it is written.
"""

from __future__ import annotations

import math
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError, legible
from bench.limits import SUITE_BYTES, SUITE_DEPTH, SUITE_DIGITS, SUITE_FILES
from bench.suite.validation_errors import KeyPath, show

# table -> (keys that make the choice, keys that outlive another choice)
CHOICES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "data": (frozenset({"loader"}), frozenset({"evaluation", "calibration"})),
    "reference": (frozenset({"model", "factory", "onnx"}), frozenset()),
    "yardstick": (frozenset({"retrained", "weight_noise", "weight_noise_sigma"}), frozenset()),
}


@dataclass(frozen=True)
class Document:
    """The content of a suite after ``extends``, and which file each part comes from."""

    path: Path
    content: dict[str, Any]
    origins: dict[KeyPath, Path] = field(default_factory=dict)

    def origin(self, key_path: KeyPath) -> Path:
        """The file in which the keys of this path are written."""
        for length in range(len(key_path), 0, -1):
            if key_path[:length] in self.origins:
                return self.origins[key_path[:length]]
        return self.path


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shown_path(path: Path) -> str:
    """A path as results hold it: as it was typed, or seen from the current folder; never where on a machine it lies.

    >>> shown_path(Path("suites/digits.toml")), shown_path(Path("/elsewhere/digits.toml"))
    ('suites/digits.toml', 'digits.toml')
    """
    if not path.is_absolute():
        return legible(path.as_posix())
    here = Path.cwd()
    return legible(path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name)


def parse_toml(path: Path) -> dict[str, Any]:
    """The content of one file; what cannot be read raises ``UserError`` with the line."""
    if not is_file(path):
        raise UserError.at(str(path), "is no file", "give the path of a suite, a TOML file")
    try:
        SUITE_BYTES.check(path.stat().st_size, str(path))
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise UserError.at(str(path), "is not UTF-8 text", "a suite is a TOML file") from None
    except OSError as error:
        raise UserError.at(str(path), f"cannot be read: {error.strerror}") from None
    except RecursionError:
        raise UserError.at(str(path), "is nested too deeply", "a suite is a plain TOML file") from None
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        line = re.search(r"\(at line (\d+), column \d+\)", text)
        where = f"{path}:{line.group(1)}" if line else str(path)
        raise UserError.at(where, f"not TOML: {text[0].lower()}{text[1:]}") from None
    except ValueError as error:  # Python itself reads no number as long as that
        most = sys.get_int_max_str_digits()
        if "integer string conversion" not in str(error):
            raise UserError.at(str(path), f"not TOML: {error}") from None
        right = f"{SUITE_DIGITS.variable} and PYTHONINTMAXSTRDIGITS raise it"
        raise UserError.at(str(path), f"a number of more than {most} digits", right) from None
    _check_size(content, str(path))
    return content


def _check_size(content: dict[str, Any], where: str) -> None:
    """Raise ``UserError`` for keys nested too deep and for numbers of too many digits."""
    deepest, longest = SUITE_DEPTH.most, 10**SUITE_DIGITS.most
    waiting: list[tuple[Any, int, str]] = [(content, 0, "")]
    while waiting:
        value, depth, top = waiting.pop()
        if depth > deepest:
            SUITE_DEPTH.check(depth, f"{where}: {show(top)}")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1, top or key) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1, top) for inner in value]
        elif isinstance(value, int) and abs(value) >= longest:
            bits = value.bit_length()  # Python writes no number of many thousand digits
            digits = len(str(abs(value))) if bits < 10_000 else math.ceil(bits * math.log10(2))
            raise UserError.at(f"{where}: {show(top)}", SUITE_DIGITS.exceeded(digits), SUITE_DIGITS.advice)


def read_document(path: Path) -> Document:
    """Read a suite and what it extends; a missing base or a circle raises ``UserError``."""
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> Document:
    content = parse_toml(path)
    base = content.pop("extends", None)
    origins: dict[KeyPath, Path] = {}
    if base is not None:
        if not isinstance(base, str):
            raise UserError.at("extends", f"{show(base)} is not a text", 'give one file: extends = "base.toml"')
        base_path = path.parent / base
        chain = (*above, path)
        SUITE_FILES.check(len(chain) + 1, "extends")
        if not is_file(base_path):
            where = "extends" if not above else f"extends (in {path.name})"
            raise UserError.at(where, f"{show(base)} is no file", f"paths are relative to {path.name}")
        if any(base_path.samefile(file) for file in chain):
            circle = " -> ".join(file.name for file in (*chain, base_path))
            raise UserError.at("extends", f"the suites extend each other in a circle: {circle}", "break the circle")
        inherited = _read(base_path, chain)
        inherited.content.pop("name", None)
        origins = {**_all_from(inherited.content, base_path), **inherited.origins}
        content = _lay_over(_without_former_choice(inherited.content, content), content, (), origins, path)
    return Document(path, content, origins)


def _all_from(content: dict[str, Any], path: Path) -> dict[KeyPath, Path]:
    return {(key,): path for key in content}


def _without_former_choice(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The base without the keys of a choice that the extending file makes differently."""
    kept = dict(base)
    for key, (choosing, outliving) in CHOICES.items():
        old, new = base.get(key), over.get(key)
        if not isinstance(old, dict) or not isinstance(new, dict):
            continue
        chosen = {k: v for k, v in new.items() if k in choosing}
        if chosen and chosen != {k: v for k, v in old.items() if k in choosing}:
            kept[key] = {k: v for k, v in old.items() if k in outliving}
    return kept


def _lay_over(
    base: dict[str, Any], over: dict[str, Any], key_path: KeyPath, origins: dict[KeyPath, Path], path: Path
) -> dict[str, Any]:
    """``over`` on ``base``, noting in ``origins`` what now comes from ``path``."""
    merged = dict(base)
    for key, value in over.items():
        at = (*key_path, key)
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _lay_over(base[key], value, at, origins, path)
            continue
        merged[key] = value
        origins[at] = path
    return merged
