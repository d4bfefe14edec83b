"""Pages of the site that are generated: the start from the README, references from the registries and the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from mathml import INLINE, mathml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.superfences import SuperFencesException

ROOT = Path(__file__).parents[1]
PUBLISHED = "reports/published"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")  # pictures too
CELL = str.maketrans({"|": "\\|", "\n": " "})


class InlineFormula(InlineProcessor):
    """What stands between dollars."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]
        """The formula as MathML, which no other rule of Markdown reads."""
        return self.md.htmlStash.store(mathml(m[1])), m.start(0), m.end(0)


class InlineFormulas(Extension):
    """Formulas between dollars; code is read before them."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Enter them."""
        md.inlinePatterns.register(InlineFormula(INLINE, md), "formula", 188)


def formula(source: str, language: str, css_class: str, options: Any, md: Markdown, **others: Any) -> str:
    """A fence ``math``: a formula on a line of its own, which scrolls where the page is narrower."""
    try:
        return f'<div class="arithmatex">{mathml(source.strip(), display=True)}</div>'
    except ValueError as error:
        raise SuperFencesException(str(error)) from error  # else the fence would be printed as it is


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Formulas are made while the site is built."""
    config.markdown_extensions.append(InlineFormulas())  # type: ignore[arg-type]
    fence = {"name": "math", "class": "arithmatex", "format": formula}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and the boards that findings link to."""
    from bench.suite.registered_names import KINDS

    pages = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    pages |= {f"reference/{kind}.md": registered(kind) for kind in KINDS}
    pages["reference/command-line.md"] = command_line()
    pages["reference/suite-keys.md"] = suite_keys()
    pages["reference/python.md"] = python()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / PUBLISHED).rglob("*.*")):
        name = path.relative_to(ROOT / PUBLISHED).as_posix()
        files.append(File.generated(config, f"published/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between pages of the site stay links; what lies outside of it is named."""
    source = ROOT / "README.md" if page.file.src_uri == "index.md" else ROOT / "docs" / page.file.src_uri

    def within(match: re.Match[str]) -> str:
        shown, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (source.parent / target).resolve()
        for folder, place in ((ROOT / "docs", ""), (ROOT / PUBLISHED, "published/")):
            if path.is_relative_to(folder):
                name = place + path.relative_to(folder).as_posix()
                known = files.get_file_from_path(name)
                if known is not None and known.inclusion.is_included():
                    up = "../" * page.file.src_uri.count("/")
                    return f"{shown}[{text}]({up}{name}{anchor})"
        if not path.exists():
            return match[0]  # strict building stops at it
        return f"{text} (`{path.relative_to(ROOT).as_posix()}`)"

    return LINK.sub(within, markdown)


def registered(kind: str) -> str:
    """A page of everything that is registered under a kind: first line, then all that ``crbench describe`` says."""
    from bench.suite.registered_names import describe, list_names

    parts = [
        f"# {kind.capitalize()}",
        "",
        f"What `crbench list {kind}` lists, each as `crbench describe NAME` tells it.",
        "",
    ]
    for name, _ in list_names(kind):
        parts += [f"## `{name}`", "", "```text", describe(kind, name), "```", ""]
    return "\n".join(parts)


def command_line() -> str:
    """The help of every command."""
    import click

    from bench.cli import cli

    def helped(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
        context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
        lines = ["```text", command.get_help(context), "```", ""]
        if isinstance(command, click.Group):
            for own in command.list_commands(context):
                child = command.get_command(context, own)
                assert child is not None
                lines += [f"## `{context.command_path} {own}`", "", *helped(child, own, context)]
        return lines

    return "\n".join(["# Command line", "", *helped(cli, "crbench", None)])


def suite_keys() -> str:
    """Every table of a suite with its keys, defaults and meanings, out of the published schema."""
    from bench.suite.tables import SuiteTable

    schema = SuiteTable.model_json_schema(by_alias=True)
    tables = {"the suite": schema, **schema.get("$defs", {})}
    parts = [
        "# Suite keys",
        "",
        "Every key of a suite file. Parameters of metrics, steps, models, loaders and methods stand beside these keys",
        "in the same table, and on their own pages. `suites/suite.schema.json` holds the same for editors.",
        "",
    ]
    for name, table in tables.items():
        if "properties" not in table:
            continue
        title = "A suite" if table is schema else f"`{name.removesuffix('Table')}`"
        parts += [f"## {title}", "", (table.get("description") or "").partition("\n")[0], ""]
        parts += ["| key | type | default | meaning |", "|---|---|---|---|"]
        required = table.get("required", [])
        for key, own in table["properties"].items():
            value = own.get("default")
            default = "required" if key in required else "none" if value is None else f"`{json.dumps(value)}`"
            parts.append(f"| `{key}` | {_type(own)} | {default} | {(own.get('description') or '').translate(CELL)} |")
        parts.append("")
    return "\n".join(parts)


def _type(own: dict[str, Any]) -> str:
    if "anyOf" in own:
        return " or ".join(dict.fromkeys(_type(option) for option in own["anyOf"]))
    if "$ref" in own:
        return f"`{own['$ref'].rpartition('/')[2].removesuffix('Table')}`"
    if "enum" in own:
        return " or ".join(f"`{item}`" for item in own["enum"])
    if own.get("type") == "array":
        return f"list of {_type(own.get('items', {}))}"
    return {"string": "text", "integer": "whole number", "null": "none", "object": "table"}.get(
        own.get("type", ""), own.get("type", "anything")
    )


def python() -> str:
    """What ``import bench`` gives."""
    import bench

    modules = [name for name in bench.__all__ if isinstance(getattr(bench, name), ModuleType)]
    names = [f"::: bench.{n}\n" for n in bench.__all__ if n not in modules and not n.startswith("_")]
    rest = ", ".join(f"`bench.{name}`" for name in modules)
    return "\n".join(["# Python", "", f"What `import bench` gives. Modules of functions: {rest}.", "", *names])
