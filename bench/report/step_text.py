"""A recipe of compression in words: its steps, with the parameters that are not the usual ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from bench.compression.base import steps as known
from bench.results import StepUse
from bench.wording import plain, title


def steps_text(steps: Sequence[StepUse]) -> str:
    """Steps in the order in which they are done; parameters at their defaults are left out.

    >>> pruned = StepUse(step="structured-prune", version=3, parameters={"ratio": 0.3})
    >>> steps_text([pruned, StepUse(step="onnx-export", version=1)])
    'structured-prune (ratio 0.3) → onnx-export'
    """
    return " → ".join(map(_step, steps))


def _step(use: StepUse) -> str:
    usual = _defaults(use.step)
    given = [
        f"{title(key)} {plain(value)}"
        for key, value in use.parameters.items()
        if value is not None and not isinstance(value, dict | list) and usual.get(key) != value
    ]
    return f"{plain(use.step)} ({', '.join(given)})" if given else plain(use.step)


@cache
def _defaults(name: str) -> dict[str, Any]:
    """The defaults of a registered step; nothing of any other: code named by a file is not imported."""
    if name not in known.names():
        return {}
    return {item.name: item.default for item in fields(known.get(name))}  # type: ignore[arg-type]


def is_control(steps: Sequence[StepUse]) -> bool:
    """Whether a recipe compresses nothing, or trains what it compressed from scratch.

    >>> [is_control([StepUse(step=name, version=1)]) for name in ("retrain", "finetune", "ptq")]
    [True, True, False]
    """
    names = [use.step for use in steps]
    return any(name in known.names() and known.get(name).control for name in names) or set(names) == {"finetune"}
