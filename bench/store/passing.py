"""A store in memory that is gone when it has served."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import fsspec

from bench.store.spill import free_spill


@contextlib.contextmanager
def passing_store() -> Iterator[str]:
    """The URL of an empty store in memory; what it holds, in memory or in a temporary file, is freed at the end.

    >>> from bench.store.store import Store
    >>> with passing_store() as url:
    ...     key = Store(url).put("cells", {"a": 1}, {})
    >>> Store(url).get("cells", key) is None
    True
    """
    url = f"memory://{uuid.uuid4().hex}"
    try:
        yield url
    finally:
        files = fsspec.filesystem("memory")
        with contextlib.suppress(FileNotFoundError):
            files.rm(url.removeprefix("memory:/"), recursive=True)
        free_spill(url.removeprefix("memory:/"))
