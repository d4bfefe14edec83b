"""What a page holds beside its first screen: every figure of its runs, columnar and deflated, and the scripts."""

from __future__ import annotations

from bench.report.interactive.packing import packed, unpacked
from bench.report.interactive.payload import inline, payload
from bench.report.interactive.script import script
from bench.report.interactive.small_print import Place

__all__ = ["Place", "inline", "packed", "payload", "script", "unpacked"]
