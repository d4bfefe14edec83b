"""Suite files for the tests: a good one in parts, each of which a test may replace."""

from pathlib import Path

from bench.errors import Problem, UserError
from bench.suite.load import load_suite

PARTS = {
    "head": 'name = "small"',
    "data": '[data]\nloader = "digits"\nevaluation = 360',
    "reference": '[reference]\nmodel = "convnet"\nrecipe = { epochs = 2 }',
    "yardstick": "[yardstick]\nretrained = 4",
    "target": '[[target]]\nname = "torch"\n[[target]]\nname = "edge"\nruntime = "onnxruntime"',
    "variant": '[[variant]]\nname = "fold"\nsteps = [{ use = "bn-fold" }]',
    "metric": '[[metric]]\nuse = "fidelity.predictions"',
}


def text(**parts: str) -> str:
    """The good document with some parts replaced."""
    return "\n".join((PARTS | parts).values())


def write(folder: Path, content: str, name: str = "suite.toml") -> Path:
    """A file with this content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def problems(path: Path) -> list[Problem]:
    """What is wrong with a suite; nothing where it loads."""
    try:
        load_suite(path)
    except UserError as error:
        return list(error.problems)
    return []
