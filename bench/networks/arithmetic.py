"""The arithmetic a torch network runs in: fixed threads and full float32, whatever was set before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def arithmetic(threads: int) -> Iterator[None]:
    """Run torch on ``threads`` CPU threads, in full float32 precision and with deterministic convolutions.

    All of it is process-wide in torch; what was set before is restored at the end. Blocks may be nested.
    """
    import torch

    count = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        if threads != count:
            torch.set_num_threads(threads)
            stack.callback(torch.set_num_threads, count)
        if precision != "highest":  # lower ones use TF32 or bfloat16 products
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        if torch.cuda.is_available():
            stack.enter_context(
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            )
        yield
