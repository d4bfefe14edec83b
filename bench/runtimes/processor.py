"""Feature flags of this processor, for the keys of providers that do not tell how they sum."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def flags() -> frozenset[str]:
    """The feature flags of the first processor, empty where the system does not list them."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    listed = next((line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")), "")
    return frozenset(listed.partition(":")[2].split())
