"""The README is short, its links lead somewhere, and its picture is of lines that a run prints."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "pictures" / "terminal.svg"


def test_it_has_fewer_than_120_lines_and_both_commands():
    assert len(TEXT.splitlines()) < 120
    for what in ("demo", "test"):
        assert f"\npython -m pip install tox && python -m tox run -e {what}\n" in TEXT


def test_every_link_leads_to_a_file():
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", TEXT) if "://" not in link]
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_picture_is_small_and_asks_for_nothing():
    drawn = PICTURE.read_text(encoding="utf-8")
    assert len(drawn.encode()) < 100_000
    assert not re.search(r"url\(['\"]?http|href|@font-face|<script", drawn)
    assert "crbench&#160;run&#160;suites/digits.toml" in drawn
