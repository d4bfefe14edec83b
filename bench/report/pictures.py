"""Pictures of samples as files beside a page, named by their content."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

FOLDER: Final = "pictures"
OURS: Final = re.compile(r"[0-9a-f]{16}\.png")


class Pictures:
    """What a page's images name, and the files that they are.

    >>> beside = Pictures()
    >>> beside.place("iVBORw0KGgo=")
    'pictures/4c4b6a3be1314ab8.png'
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def place(self, picture: str) -> str:
        """The name of a picture, given in base64, relative to the page."""
        content = base64.b64decode(picture, validate=True)
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.png"
        self.files[name] = content
        return f"{FOLDER}/{name}"

    def write(self, folder: Path) -> None:
        """Write every picture into ``folder / "pictures"``, and remove those that a former page named."""
        from bench.store.files import write_atomic

        held = folder / FOLDER
        for name, content in self.files.items():
            if not (held / name).exists():
                write_atomic(held / name, content)
        if held.is_dir():
            for path in held.iterdir():
                if OURS.fullmatch(path.name) and path.name not in self.files:
                    path.unlink()
            if not any(held.iterdir()):
                held.rmdir()
