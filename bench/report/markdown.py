"""Text inside Markdown."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~@$^])")


def escape(text: str) -> str:
    r"""Text that Markdown and the HTML inside it show as it stands.

    >>> escape("a|b <i> [x](y)")
    'a\\|b &lt;i&gt; \\[x\\]\\(y\\)'
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", safe).replace("://", ":&#47;&#47;")
