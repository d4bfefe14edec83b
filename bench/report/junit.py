"""Judgements as JUnit XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from bench.report.judgements import JudgementRow, rows_of
from bench.results import Comparison, Judgement
from bench.results.consequences import Consequence
from bench.wording import plain

ELEMENTS = {
    Consequence.REGRESSION: "failure", Consequence.INCOMPLETE: "failure", Consequence.OPEN: "skipped",
    Consequence.ACCEPTED: "skipped", Consequence.PASS: "",
}  # fmt: skip
COUNTS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(comparison: Comparison) -> bytes:
    """JUnit XML: a test case for each judgement; regressed fails, errored is an error, what stays open is skipped.

    What makes the run incomplete or, with ``strict``, fails it, is no mere skip: it is a failure.
    """
    cases = ET.Element("testsuite", name=_xml(comparison.suite), tests=str(len(comparison.judgements)))
    counts = dict.fromkeys(COUNTS, 0)
    for row in rows_of(comparison):
        name = f"{comparison.suite}.{row.judgement.metric}"
        case = ET.SubElement(cases, "testcase", classname=_xml(name), name=_xml(row.name))
        _properties(case, row.judgement)
        kind = element_of(row)
        if kind:
            counts[kind] += 1
            made = ET.SubElement(case, kind, message=_xml(f"{row.word}: {row.because}"))
            made.text = _xml(row.judgement.look)
    for kind, attribute in COUNTS.items():
        cases.set(attribute, str(counts[kind]))
    if not comparison.judgements:
        case = ET.SubElement(cases, "testcase", classname=_xml(comparison.suite), name="judged")
        ET.SubElement(case, "error", message=_xml(comparison.closing))
        cases.set("tests", "1")
        cases.set("errors", "1")
    root = ET.Element("testsuites")
    root.append(cases)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def element_of(row: JudgementRow) -> str:
    """The element of a judgement; empty for a pass."""
    return "error" if row.judgement.verdict == "errored" else ELEMENTS[row.consequence]


def _properties(case: ET.Element, item: Judgement) -> None:
    ends = item.ci or (None, None)
    known = {
        "verdict": item.verdict, "estimate": item.estimate, "low": ends[0], "high": ends[1], "margin": item.margin,
        "p_value": item.p_value,
    }  # fmt: skip
    table = ET.SubElement(case, "properties")
    for key, value in known.items():
        if value is not None:
            ET.SubElement(table, "property", name=key, value=str(value))


def _xml(text: str) -> str:
    return NOT_XML.sub(" ", plain(text))
