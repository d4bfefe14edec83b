"""Recognition of a store and of its own files: nothing else is taken for one, written into, or deleted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import fsspec

from bench.errors import UserError
from bench.wording import plain

KINDS: Final = ("networks", "observations", "cells", "families")
ROOTS: Final = "roots"
DATA: Final = "data"  # downloaded data sets, younger than the marker; never collected
MARKER: Final = "crbench-store.json"
MARK: Final = b'{"crbench_store": 1}\n'
RIGHT: Final = "give a folder, or an fsspec URL"
SHOWN: Final = 3

_PART = re.compile(r"\.?(?P<name>.+)\.[0-9a-f]{32}\.part")  # what a crashed writer leaves
_OBJECT = re.compile(r"(?P<key>[0-9a-f]{64})\.(json|bin|[A-Za-z_][A-Za-z0-9_]{0,63}\.npy|npz)")  # npz: formerly


def key_of_name(name: str) -> str | None:
    """The key of an object from its file's name below the store, of a crashed writer's leftover too; else None.

    >>> key_of_name("cells/ab/notes.json"), key_of_name("cells/ab/" + "ab" * 32 + ".logits.npy")[:4]
    (None, 'abab')
    """
    kind, _, rest = name.partition("/")
    folder, _, file = rest.partition("/")
    part = _PART.fullmatch(file)
    matched = _OBJECT.fullmatch(part["name"] if part else file)
    return matched["key"] if matched and kind in KINDS and folder == matched["key"][:2] else None


def is_leftover(name: str) -> bool:
    """Whether a crashed writer left it."""
    return name.endswith(".part")


def is_own(name: str) -> bool:
    """Whether a store writes such a name."""
    folder, _, file = name.partition("/")
    part = _PART.fullmatch(file)
    root = folder == ROOTS and re.fullmatch(r"[0-9a-f]{64}\.json", part["name"] if part else file)
    return bool(root) or key_of_name(name) is not None


def filesystem_of(url: str) -> tuple[Any, str]:
    """The file system of an fsspec URL or a folder, and the root on it.

    Raises:
        UserError: the URL is empty, names no place, has an unknown protocol, or one whose package is absent.
    """
    where = f"the store {plain(url)!r}"
    if not url.strip():
        raise UserError.at("the store", "its URL is empty", f"{RIGHT}; or leave --store and CRBENCH_STORE out")
    if "\0" in url:
        raise UserError.at(where, "holds a NUL character", RIGHT)
    protocol, colon, rest = url.partition(":")
    known = colon and protocol in (*fsspec.available_protocols(), "file", "local")
    if known and not rest.startswith((":", "//", "/")):
        right = f"write {protocol}://PLACE, or ./{plain(url)} for a folder of that name" if rest else RIGHT
        raise UserError.at(where, "names no place", right)
    if known and protocol != "memory" and not rest.strip("/:") and "/" not in rest.removeprefix("//"):
        raise UserError.at(where, "names no place", RIGHT)
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except Exception as error:  # every file system raises what it likes on a URL that it cannot use
        what = " ".join(f"{error}".split())[:200] or type(error).__name__
        raise UserError.at(where, what, RIGHT) from None
    return filesystem, str(root).rstrip("/")


def check_content(url: str, top: Iterable[str], below: Callable[[str], Iterable[str]]) -> bool:
    """Whether a folder without a marker holds a store, from before there were markers; an empty one holds none.

    Names that begin with a dot count as nothing.

    Args:
        url: The store's, for errors.
        top: The names in the folder.
        below: Every file below one of them, relative to the folder.

    Raises:
        UserError: the folder holds anything that no store writes.
    """
    names = [name for name in top if not name.startswith(".") and name != "lost+found"]
    strange = [name for name in names if name not in (*KINDS, ROOTS)]
    if not strange:
        strange = [file for name in names for file in below(name) if not is_own(file)]
    if strange:
        examples = ", ".join(plain(name) for name in sorted(strange)[:SHOWN])
        what = f"the folder holds what no store does ({examples}{', ...' if len(strange) > SHOWN else ''})"
        right = f"give an empty folder or a store; one that is a store all the same needs an empty file {MARKER} in it"
        raise UserError.at(f"the store {plain(url)!r}", what, right)
    return bool(names)
