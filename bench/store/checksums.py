"""A checksum inside a JSON document: one changed character of a file that was written here does not go unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bench.store.keys import canonical_json

SEAL = "sha256"


def sha256(content: bytes) -> str:
    """The sha256 of content, in hex digits."""
    return hashlib.sha256(content).hexdigest()


def seal_of(document: Mapping[str, Any]) -> str:
    """The sha256 of the canonical JSON of all that stands in the document beside its own seal.

    Raises:
        ValueError: it holds NaN or infinities, which no document written here does.

    >>> seal_of({"a": 1.0}) == seal_of({"a": 1.0, "sha256": "whatever"})
    True
    """
    return sha256(canonical_json({name: value for name, value in document.items() if name != SEAL}).encode())


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its seal.

    >>> is_whole(sealed({"a": 1.0})), is_whole(sealed({"a": 1.0}) | {"a": 2.0})
    (True, False)
    """
    return {**document, SEAL: seal_of(document)}


def is_whole(document: Mapping[str, Any]) -> bool:
    """Whether the document is as it was sealed."""
    try:
        return bool(document.get(SEAL) == seal_of(document))
    except (ValueError, TypeError, RecursionError):
        return False
