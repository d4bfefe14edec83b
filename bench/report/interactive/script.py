"""The page's script: plain modules in one function, in the order in which they use each other."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

MODULES: Final = (
    "elements", "figures", "address", "sorting", "explain", "chart", "detail", "compare", "pareto", "table",
    "turned", "download", "tools", "main",
)  # fmt: skip


@cache
def modules() -> tuple[str, ...]:
    """The text of each module, in order."""
    folder = files("bench.report.interactive").joinpath("scripts")
    return tuple(folder.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in MODULES)


@cache
def script() -> str:
    """All modules as one strict script without names of its own; comments and needless spaces left out."""
    lines = (line.strip() for text in modules() for line in text.splitlines())
    kept = "\n".join(_tight(line) for line in lines if line and not line.startswith("// "))
    return f'"use strict";\n(() => {{\n{kept}\n}})();\n'


def _tight(line: str) -> str:
    """A line without spaces around punctuation; as it is where it holds a text or an expression of letters.

    >>> _tight("const [x, y] = axes(box, xs);"), _tight('say("a, b");')
    ('const[x,y]=axes(box,xs);', 'say("a, b");')
    """
    return line if re.search(r"[\"'`/]", line) else re.sub(r"\s*([=>,:?{}()\[\];&|<])\s*", r"\1", line)
