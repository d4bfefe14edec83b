"""What one run of MLflow holds, by names that MLflow takes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from bench.wording import plain

LONGEST_NAME = 250  # characters that MLflow takes
LONGEST_TEXT = 5000  # older servers cut or refuse longer tags
FOREIGN = re.compile(r"[^A-Za-z0-9_.\- ]+")  # a colon too: servers on Windows refuse it


def mlflow_name(*parts: str) -> str:
    """A name of parts between slashes; where MLflow refuses a character or the length, a checksum tells it from others.

    >>> mlflow_name("adversarial.pgd epsilon 0.1", "robust_error", "estimate")
    'adversarial.pgd epsilon 0.1/robust_error/estimate'
    >>> mlflow_name("mine sizes (8, 16)", "figure"), mlflow_name("mine sizes [8, 16]", "figure")
    ('mine sizes 8 16/figure 1498bf30', 'mine sizes 8 16/figure c2f99da3')
    """
    exact = "/".join(parts)
    cleaned = [" ".join(FOREIGN.sub(" ", part).split()) for part in parts]
    name = "/".join("_" if part in ("", ".", "..") else part for part in cleaned)
    if name == exact and len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9].rstrip(' ./')} {checksum(exact)}"


def checksum(text: str) -> str:
    """Eight hexadecimal digits of the text's sha256.

    >>> checksum("a")
    'ca978112'
    """
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]


def mlflow_text(text: object) -> str:
    r"""A tag's or parameter's text: one line, of which a long one says that it goes on.

    >>> mlflow_text("a\nb"), len(mlflow_text("a" * 6000))
    ('a b', 5000)
    """
    line = plain(text)
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 4]} ..."


@dataclass(frozen=True)
class MlflowRun:
    """One run: every name and text is one that MLflow takes."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    failed: bool = False  # a cell of it is an error


@dataclass(frozen=True)
class MlflowRuns:
    """The run of the whole, and those nested in it."""

    whole: MlflowRun
    variants: tuple[MlflowRun, ...]
