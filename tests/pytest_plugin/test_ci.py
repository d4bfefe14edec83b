"""The ready workflows: valid YAML, and commands that exist."""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bench.cli import cli

CI = Path(__file__).parents[2] / "docs" / "ci"
FILES = sorted(CI.glob("*.yml"))


def texts(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_commands_exist_with_their_options(path, request):
    said = "\n".join(texts(yaml.safe_load(path.read_text())))
    commands = re.findall(r"crbench (run|gc|gate)(.*?)(?: \|\| true)?$", said, flags=re.MULTILINE)
    assert {name for name, _ in commands} >= {"run", "gc"}
    for name, rest in commands:
        known = CliRunner().invoke(cli, [name, "--help"]).output
        assert all(option in known for option in re.findall(r"--[a-z-]+", rest)), (name, rest)
    line = next(text for text in texts(yaml.safe_load(path.read_text())) if "-m pytest" in text)
    for option in re.findall(r"--[a-z-]+", line):
        request.config.getoption(option)


def test_both_are_there_and_cache_the_store():
    assert [path.name for path in FILES] == ["github-actions.yml", "gitlab-ci.yml"]
    github, gitlab = (yaml.safe_load(path.read_text()) for path in FILES)
    steps = github["jobs"]["gate"]["steps"]
    assert [step["with"]["path"] for step in steps if "cache/" in step.get("uses", "")] == [".crbench", ".crbench"]
    assert gitlab["crbench"]["cache"][0]["paths"] == [".crbench"]
