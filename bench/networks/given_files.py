"""Checks of files that a user names: they exist and hold no pickle."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError

PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"})
ADVICE = "convert it to safetensors with: crbench convert {}"


def existing_file(path: Path, where: str) -> Path:
    """The path, or ``UserError`` where there is no such file."""
    if not path.is_file():
        what = f"{str(path)!r} is a folder" if path.is_dir() else f"no file {str(path)!r}"
        raise UserError.at(where, what, "give the path of a file, relative to the suite or the current folder")
    return path


def refuse_pickle(path: Path, head: bytes, where: str) -> None:
    """Raise ``UserError`` for what torch.save or pickle writes, by its first bytes or its suffix."""
    pickled = head[:1] == b"\x80" and len(head) > 1 and 2 <= head[1] <= 5
    zipped = head[:4] == b"PK\x03\x04"
    if pickled or zipped or path.suffix.lower() in PICKLE_SUFFIXES:
        what = f"{str(path)!r} is a pickle, which can run code when it is read"
        raise UserError.at(where, what, ADVICE.format(path.name))


def named(names: list[str]) -> str:
    """The first three names, and how many more.

    >>> named(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    first = ", ".join(repr(name) for name in names[:3])
    return first + (f" and {len(names) - 3} more" if len(names) > 3 else "")
