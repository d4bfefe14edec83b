"""What a value means: the formula, units and source of its metric, as the registry tells it."""

from __future__ import annotations

import inspect
from typing import Any

from bench.metrics.base import metrics
from bench.wording import plain


def explanation(metric: str) -> dict[str, Any]:
    """The documentation of a registered metric in paragraphs; nothing of any other: no code named by a file is read."""
    if metric not in metrics.names():
        return {}
    text = inspect.getdoc(metrics.get(metric)) or ""
    return {"paragraphs": [plain(part.replace("``", "")) for part in text.split("\n\n") if ">>>" not in part]}
