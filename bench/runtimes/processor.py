"""What this processor can do that changes what quantised networks compute on it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
X86 = frozenset({"x86_64", "AMD64", "i386", "i686"})


@cache
def flags() -> frozenset[str]:
    """The feature flags of the first processor, empty where the system does not list them."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    listed = next((line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")), "")
    return frozenset(listed.partition(":")[2].split())


def vnni(known: frozenset[str] | None = None) -> bool | None:
    """Whether products of 8-bit integers are summed in 32 bits at once; None where it is not known or not asked.

    On x86 without it, two products are first added in 16 bits: large ones saturate, and an int8 network computes
    something else than it does elsewhere (``reduce_range`` avoids it). Other processors have no such instruction.

    >>> vnni(frozenset({"avx2"})), vnni(frozenset({"avx2", "avx_vnni"})), vnni(frozenset())
    (False, True, None)
    """
    found = (flags() if platform.machine() in X86 else frozenset()) if known is None else known
    return bool(found & VNNI) if found else None
