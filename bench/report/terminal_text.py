"""What a terminal would show, as a text: for objects in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 110  # characters of a table where no terminal says otherwise


def terminal_text(draw: Callable[[Console], None]) -> str:
    """The text that ``draw`` prints on a console of 110 columns without colours, without blank lines around it.

    >>> terminal_text(lambda console: console.print("three words, said"))
    'three words, said'
    """
    from rich.console import Console

    shown = io.StringIO()
    draw(Console(file=shown, width=WIDTH, color_system=None, force_jupyter=False))
    return shown.getvalue().strip("\n")
