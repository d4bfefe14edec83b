"""Running an ONNX file so that a loop in it can neither hang nor keep an interrupt waiting."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

import onnxruntime
from onnxruntime import InferenceSession

from bench.errors import UserError
from bench.limits import LOOP_SECONDS

LONGEST_WAIT = 10.0  # seconds until a session that was told to stop has stopped


def holds_loop(model: bytes) -> bool:
    """Whether a file may hold a loop, by its bytes alone: a name that looks like one does no harm."""
    return b"Loop" in model


def run_session(
    session: InferenceSession, feeds: Mapping[str, Any], outputs: list[str] | None = None, *, loops: bool = True
) -> list[Any]:
    """The outputs of a session.

    Args:
        session: of ONNX Runtime.
        feeds: arrays by name.
        outputs: names; all by default.
        loops: whether its file may hold a loop: it is run in a thread of its own then, and told to stop at an interrupt
            and after ``CRBENCH_MAX_LOOP_SECONDS``.

    Raises:
        UserError: it took longer than that.
    """
    if not loops:
        answer: list[Any] = session.run(outputs, feeds)
        return answer

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    most, answers = LOOP_SECONDS.most, queue.SimpleQueue[tuple[list[Any] | None, Exception | None]]()

    def run() -> None:
        try:
            answers.put((session.run(outputs, feeds, options), None))
        except Exception as error:  # the runtime's exceptions share no base class of their own
            answers.put((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + most
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                what = f"one run of its loop takes more than {most} {LOOP_SECONDS.unit}"
                raise UserError.at("onnx", what, LOOP_SECONDS.advice)
            try:
                run_outputs, error = answers.get(timeout=min(left, 1.0))
                break
            except queue.Empty:
                continue
    except BaseException:
        options.terminate = True
        thread.join(LONGEST_WAIT)
        raise
    thread.join()
    if error is not None:
        raise error
    assert run_outputs is not None
    return run_outputs
