"""Formulas of the pages as MathML, which browsers draw by themselves: no script and no font is fetched."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from xml.etree import ElementTree as XML

from latex2mathml import exceptions
from latex2mathml.converter import convert

SPACE: Final = "{http://www.w3.org/1998/Math/MathML}"
REFUSALS: Final = tuple(item for item in vars(exceptions).values() if isinstance(item, type))
CHILDREN: Final = {
    "mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "mroot": 2, "msubsup": 3, "munderover": 3,
}  # fmt: skip
INLINE: Final = r"(?<![\\$\w])\$([^\s$](?:[^$]*[^\s$])?)\$(?![\w$])"  # between dollars, as GitHub reads it
BAR: Final = re.compile(r"\\([lr])([vV])ert(?![a-zA-Z])")
BARS: Final = {"v": "|", "V": "‖"}

XML.register_namespace("", SPACE.strip("{}"))


def mathml(formula: str, *, display: bool = False) -> str:
    r"""A formula in LaTeX as a ``<math>`` element, on its own line where ``display``.

    Bars are written as ``\lvert``, ``\rvert``, ``\lVert`` and ``\rVert``, so that each is known to open or to close.

    Raises:
        ValueError: a command is unknown, an argument is missing, or braces do not match. The converter itself would
            print such a formula wrong.

    >>> mathml("x_1").removeprefix('<math xmlns="http://www.w3.org/1998/Math/MathML" ')
    'display="inline"><mrow><msub><mi>x</mi><mn>1</mn></msub></mrow></math>'
    """
    bare = re.sub(r"\\[{}]", "", formula)
    if bare.count("{") != bare.count("}"):
        raise ValueError(f"braces do not match in {formula!r}")
    try:
        root = XML.fromstring(convert(formula, display="block" if display else "inline"))
    except REFUSALS as error:
        raise ValueError(f"{type(error).__name__} in {formula!r}") from None
    for element in root.iter():
        name = element.tag.removeprefix(SPACE)
        if "\\" in (element.text or ""):
            raise ValueError(f"unknown command {element.text!r} in {formula!r}")
        if len(element) != CHILDREN.get(name, len(element)):
            raise ValueError(f"an argument is missing in {formula!r}: {name} has {len(element)}")
    _close_bars(root, formula)
    _join_letters(root)
    _space_operators(root)
    return XML.tostring(root, encoding="unicode")


def _close_bars(root: XML.Element, formula: str) -> None:
    """Say of each bar whether it opens or closes: to the converter both are alike."""
    wanted = BAR.findall(formula)
    bars = [each for each in root.iter(f"{SPACE}mo") if each.text in BARS.values()]
    if [BARS[kind] for _, kind in wanted] != [bar.text for bar in bars]:
        raise ValueError(rf"write bars as \lvert, \rvert, \lVert and \rVert in {formula!r}")
    for bar, (side, _) in zip(bars, wanted, strict=True):
        if "fence" not in bar.attrib:  # else it is as high as what it holds
            form = "prefix" if side == "l" else "postfix"
            bar.attrib |= {"form": form, "stretchy": "false", "lspace": "0", "rspace": "0"}


def _join_letters(root: XML.Element) -> None:
    r"""Upright letters of one word, as of ``\mathrm{diag}``, become one word."""
    for element in root.iter(f"{SPACE}mrow"):
        letters = [child.text or "" for child in element if child.get("mathvariant") == "normal"]
        if len(element) > 1 and len(letters) == len(element):
            element.clear()
            XML.SubElement(element, f"{SPACE}mi").text = "".join(letters)


def _space_operators(root: XML.Element) -> None:
    """Relations that came out as letters get an operator's space, names of functions a little on both sides."""
    for element in root.iter():
        text = element.text or ""
        if element.tag == f"{SPACE}mi" and len(text) == 1 and (unicodedata.category(text) == "Sm" or text == "‖"):
            element.tag, element.text = f"{SPACE}mo", text.replace("~", "∼")
            element.attrib |= {"lspace": "0.22em", "rspace": "0.22em", "stretchy": "false"}
        elif element.tag in (f"{SPACE}mi", f"{SPACE}mo") and len(text) > 1 and text.isalpha() and text.islower():
            element.tag = f"{SPACE}mo"
            element.attrib |= {"lspace": "0.14em", "rspace": "0.1em"}
