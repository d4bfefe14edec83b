"""Draw ``docs/pictures/terminal.svg``: lines that the demo prints, as they are; ``...`` where some are left out.

``crbench run suites/digits.toml && python docs/pictures/terminal.py reports/digits``
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from bench.report.terminal import render
from bench.results import Results

COMMAND = "$ crbench run suites/digits.toml"
SHOWN = ("reference", "fold", "prune30", "prune30-finetune", "prune30-distil", "ptq8", "ptq4", "control-noise")
TARGET = "torch"
SECTIONS = ("what got worse", "How far each family moved")
WIDTH = 100
NAMES = 16  # columns of a variant's name
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # no font is fetched


def printed(results: Results) -> list[tuple[str, str]]:
    """Every line, plain and with colours."""
    console = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor")
    render(results, console)
    plain = console.export_text(clear=False, styles=False).splitlines()
    return list(zip(plain, console.export_text(styles=True).splitlines(), strict=True))


def chosen(lines: list[tuple[str, str]], names: set[str]) -> list[str]:
    """Of both first tables the heads and the rows that are shown, and the last line of all."""
    kept = [COMMAND]
    for section in SECTIONS:
        start = next(at for at, (plain, _) in enumerate(lines) if section in plain)
        first = next(at for at in range(start, len(lines)) if lines[at][0].startswith("variant"))
        end = next((at for at in range(first, len(lines)) if not lines[at][0].strip()), len(lines))
        heads = [at for at in range(first + 1, end) if lines[at][0][:NAMES].strip() in names]
        first = heads[0] if heads else end
        rows = list(zip(heads, [*heads[1:], end], strict=False))  # the last one ends with the table
        wanted = [
            row for row in rows if lines[row[0]][0][:NAMES].strip() in SHOWN and lines[row[0] + 1][0].startswith(TARGET)
        ]
        kept += ["", *(styled for _, styled in lines[start:first])]
        kept += [styled for begin, stop in wanted for _, styled in lines[begin:stop]]
        kept += ["..."]
    blank = max(at for at, (plain, _) in enumerate(lines) if not plain.strip() and at < len(lines) - 1)
    return [*kept, *(styled for _, styled in lines[blank:])]  # the sentence that closes the verdict


def main(folder: Path) -> None:
    """Draw the picture of the run in the folder."""
    results = Results.model_validate_json((folder / "results.json").read_text(encoding="utf-8"))
    names = {"reference", *(variant.name for variant in results.variants)}
    console = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor")
    for line in chosen(printed(results), names):
        console.print(Text.from_ansi(line), overflow="crop", no_wrap=True)
    picture = Path(__file__).with_suffix(".svg")
    picture.write_text(console.export_svg(title="crbench", code_format=FORMAT), encoding="utf-8")
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
