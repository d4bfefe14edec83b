"""Attention computed by plain operators, which exporters know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.backends import mha


@contextmanager
def plain_attention() -> Iterator[None]:
    """A context in which ``nn.MultiheadAttention`` and its like leave torch's fused path, which cannot be exported."""
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)
