"""The README's picture of a terminal shows lines that the report prints."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "pictures" / "terminal.py"


def test_it_can_be_drawn_anew(sample_run):
    spec = importlib.util.spec_from_file_location("terminal_picture", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SHOWN, module.TARGET = ("fold",), "torch"
    lines = module.printed(sample_run)
    kept = module.chosen(lines, {"reference", *(variant.name for variant in sample_run.variants)})
    assert kept[0] == module.COMMAND
    assert set(kept) - {styled for _, styled in lines} == {module.COMMAND, "..."}
    plain = {styled: text for text, styled in lines}
    told = [plain.get(line, "") for line in kept]
    assert all(any(section in line for line in told) for section in module.SECTIONS)
    assert [line.split()[0] for line in told if line[:16].strip() == "fold"] == ["fold", "fold"]  # in both tables
    assert len(kept) < len(lines)
    svg = module.FORMAT
    assert "@font-face" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")
