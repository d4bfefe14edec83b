"""Selection of cells by a pattern: for ``--only``, ``why`` and ``not_applicable`` alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(label: str, pattern: str) -> bool:
    """Whether a pattern means the cell of that label (variant/target/metric[parameters]#replicate).

    It means it literally or as a glob, whole or as one of its beginnings: the variant, variant/target, or the label
    without its parameters or its replicate. A ``*`` passes over slashes too.

    >>> label = "a/torch/adversarial.pgd[epsilon=0.1]"
    >>> [matches(label, text) for text in ("a", "a/torch", "*/adversarial.pgd", label, "*=0.1?")]
    [True, True, True, True, True]
    >>> matches(label, "torch"), matches(label, "a/t"), matches(label, "a/torch/adversarial")
    (False, False, False)
    """
    parts = label.split("/", 2)
    single = re.sub(r"#\d+$", "", label)
    bare = single.partition("[")[0]
    beginnings = {"/".join(parts[:count]) for count in (1, 2, 3)} | {single, bare}
    return any(text == pattern or fnmatchcase(text, pattern) for text in beginnings)


def first_match(label: str, patterns: Sequence[str]) -> str:
    """The first of the patterns that means the cell; empty where none does."""
    return next((pattern for pattern in patterns if matches(label, pattern)), "")


def accepted_as(pattern: str) -> str:
    """The reason that a suite's pattern gives for a skip that it accepts."""
    return f"not_applicable {pattern!r}" if pattern else ""


def unused(labels: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """A warning for each ``not_applicable`` pattern that means no cell of the plan."""
    return [
        f"not_applicable: {pattern!r} matches no cell, a cell is such as {labels[0] if labels else 'none'}"
        for pattern in patterns
        if not any(matches(label, pattern) for label in labels)
    ]
