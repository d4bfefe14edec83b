"""Writes in the background, in order: waiting for the disk does not hold up the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor


class Writer:
    """One thread that commits records in the order given; a reader waits for the file it asks for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crbench-store")
        self._pending: dict[str, Future[None]] = {}

    def submit(self, names: Iterable[str], commit: Callable[[], None]) -> None:
        """Commit these files soon; a failure is raised by ``wait`` or ``flush``."""
        self._pending = {known: future for known, future in self._pending.items() if not _done(future)}
        self._pending |= dict.fromkeys(names, self._thread.submit(commit))

    def wait(self, name: str) -> None:
        """Until that file is committed, if it is on its way."""
        future = self._pending.get(name)
        if future is not None:
            future.result()

    def flush(self) -> None:
        """Until everything is committed; raises what a write raised."""
        pending, self._pending = self._pending, {}
        for future in pending.values():
            future.result()


def _done(future: Future[None]) -> bool:
    """Committed without a failure, which must not be forgotten."""
    return future.done() and future.exception() is None
