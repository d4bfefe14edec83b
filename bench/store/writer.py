"""Writes in the background, in order: waiting for the disk does not hold up the work."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from bench.store.files import Files


class Writer:
    """One thread that commits files in the order given; a reader waits for the file it asks for.

    Order is what makes a commit marker one: a JSON record never reaches the disk before its arrays.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crbench-store")
        self._pending: dict[str, Future[None]] = {}

    def write(self, name: str, content: bytes) -> None:
        """Commit soon; a failure is raised by ``wait`` or ``flush``."""
        self._pending = {known: future for known, future in self._pending.items() if not _done(future)}
        self._pending[name] = self._thread.submit(self.files.write, name, content)

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
