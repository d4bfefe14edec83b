"""Texts in CSV files: numbers unrounded, and nothing that a spreadsheet would compute."""

from __future__ import annotations

from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a text


def csv_text(item: object) -> str:
    """What stands in a line: nothing for None, a float in full, a text behind an apostrophe where it is a formula.

    >>> csv_text(None), csv_text(-0.1), csv_text("=1+1"), csv_text("ptq8")
    ('', '-0.1', "'=1+1", 'ptq8')
    """
    if item is None or isinstance(item, (int, float)):
        return "" if item is None else repr(item)
    text = str(item)
    return f"'{text}" if text.startswith(FORMULA) else text
