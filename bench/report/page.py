"""What every page shares: templates, and a policy by which only the page's own style and script may run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from bench.report import figures
from bench.report.interactive.pareto import at
from bench.report.strip import position

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = (
    "index.html.j2",
    "sections.html.j2",
    "series.html.j2",
    "landscape.html.j2",
    "over_networks.html.j2",
    "board.html.j2",
    "history.html.j2",
    "leaderboard.html.j2",
    "shells.html.j2",
)


@cache
def environment() -> Environment:
    """Templates of this package; everything that comes from results is escaped, an unknown name is an error."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader({name: asset(name) for name in TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["same"] = figures.SAME
    environment.globals["position"] = position
    environment.globals["at"] = partial(at, other="")
    environment.globals["plain_states"] = ("number", "limit", "range")
    return environment


@cache
def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return files("bench.report").joinpath("templates", name).read_text(encoding="utf-8")


def policy(style: str, script: str = "") -> str:
    """A content security policy that knows the page's own style and script by their hashes, and nothing else."""
    scripts = f"; script-src {_fingerprint(script)}" if script else ""
    allowed = f"img-src data: file: 'self'; style-src {_fingerprint(style)}{scripts}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _fingerprint(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
