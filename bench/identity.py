"""Tokens in keys for things without content to hash: each object of this process has one of its own."""

from __future__ import annotations

import sys
import uuid
import warnings
import weakref
from typing import Any

_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_told: set[str] = set()


class NotReused(UserWarning):
    """Something is measured anew in every process, because nothing says whether it is still the same."""


def token_of(thing: Any) -> str:
    """A name of this object that no other object, in no other process, ever has; a new one where it cannot be kept.

    >>> token_of(token_of) == token_of(token_of), token_of(token_of) == token_of(uuid.uuid4)
    (True, False)
    """
    try:
        return _tokens.setdefault(thing, uuid.uuid4().hex)
    except TypeError:  # neither hashed nor weakly referenced
        return uuid.uuid4().hex


def is_transient(code: Any) -> bool:
    """Whether a class or function was defined in a notebook, a script or a prompt: its name says nothing of its code.

    >>> is_transient(is_transient), is_transient(eval("lambda: 0", {"__name__": "__main__"}))
    (False, True)
    """
    module = getattr(code, "__module__", None)
    return module in (None, "__main__") or getattr(sys.modules.get(module), "__file__", None) is None


def tell_not_reused(title: str, advice: str) -> None:
    """Warn, once a process and title, that what is measured of a thing is not used again elsewhere."""
    if title not in _told:
        _told.add(title)
        what = f"{title}: measured anew in every process, since nothing says whether it is still the same; {advice}"
        warnings.warn(what, NotReused, stacklevel=2)
