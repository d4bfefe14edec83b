"""Judgements of a gate for people and machines: terminal, Markdown, JUnit, ``::error`` lines."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from bench.report.markdown import escape
from bench.report.terminal import ASCII
from bench.results import Comparison, Judgement, Word
from bench.results.consequences import FAILING, WORDS, Consequence, consequence, word_told
from bench.wording import canonical, plain, title, told_apart

LIMIT = 1_000_000  # bytes of a job summary; GitHub refuses more than 1,024 kB
SIGNS = {
    Consequence.REGRESSION: "✗", Consequence.INCOMPLETE: "?", Consequence.OPEN: "?", Consequence.ACCEPTED: "–",
    Consequence.PASS: "✓",
}  # fmt: skip
OWN_SIGNS: dict[Word, str] = {"errored": "✗", "improved": "▲"}
STYLES = {"✗": "bold red", "?": "yellow"}
JUNIT = {
    Consequence.REGRESSION: "failure", Consequence.INCOMPLETE: "failure", Consequence.OPEN: "skipped",
    Consequence.ACCEPTED: "skipped", Consequence.PASS: "",
}  # fmt: skip
GITHUB = {Consequence.REGRESSION: "error", Consequence.INCOMPLETE: "error", Consequence.OPEN: "warning"}
AGAINST = {"baseline": "", "first": ", against the first baseline", "reference": ", against the reference"}
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def sign_of(item: Judgement) -> str:
    """A word as one character."""
    return OWN_SIGNS.get(item.verdict, SIGNS[WORDS[item.verdict].consequence])


def _bad(item: Judgement) -> bool:
    """Whether a reader is shown where to look closer."""
    return WORDS[item.verdict].consequence in FAILING


def labels(judgements: Sequence[Judgement]) -> list[str]:
    """Each judgement's place in words, no two alike: variant (target): value, and its gate where it has several."""
    apart = told_apart((item.metric, item.params) for item in judgements)
    found = []
    for item in judgements:
        words = apart[item.metric, canonical(item.params)]
        replicate = f", replicate {item.replicate}" if item.replicate else ""
        value = f"{title(item.value)} ({words})" if words else title(item.value)
        found.append(f"{plain(item.variant)} ({plain(item.target)}{replicate}): {value}{AGAINST[item.against]}")
    return _numbered(_with_gates(found, judgements))


def _with_gates(names: Sequence[str], judgements: Sequence[Judgement]) -> list[str]:
    """Names that stand more than once, with the rule and the margin of their gates: JUnit wants them apart."""
    often = Counter(names)

    def gate(item: Judgement) -> str:
        return f", {plain(item.rule)}{'' if item.margin is None else f' {item.margin:g}'}" if item.rule else ""

    return [f"{name}{gate(item)}" if often[name] > 1 else name for name, item in zip(names, judgements, strict=True)]


def _numbered(names: Sequence[str]) -> list[str]:
    """What is still alike, with a number from its second on."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found


def _groups(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, Judgement]]]]:
    rows = zip(labels(comparison.judgements), comparison.judgements, strict=True)
    for word, members in groupby(rows, key=lambda row: word_told(row[1])):
        yield word, list(members)


def render(comparison: Comparison, console: Console) -> None:
    """Print everything but what stayed the same, one line each, and the closing line last."""
    lines = [Text(f"{comparison.suite} against {comparison.baseline}", style="bold")]
    for word, members in _groups(comparison):
        if members[0][1].verdict == "same":
            continue
        for name, item in members:
            said = f"{sign_of(item)} {word}  {name}: {plain(item.because)}"
            lines.append(Text(said, STYLES.get(sign_of(item), "") if _bad(item) else ""))
            if _bad(item) and item.look:
                lines.append(Text(f"    {item.look}", style="dim"))
    lines += [Text(f"! {plain(note)}", style="yellow") for note in comparison.notes]
    lines.append(Text(comparison.closing, style="bold red" if comparison.exit_code else "bold green"))
    for line in lines:
        if not (console.encoding or "").lower().startswith("utf"):
            encoding = console.encoding or "ascii"
            line = Text(line.plain.translate(ASCII).encode(encoding, "replace").decode(encoding), style=line.style)
        console.print(line, soft_wrap=True)


def summary(comparison: Comparison, limit: int = LIMIT) -> str:
    """Markdown for a job's page: the worst first, and how much was left out where it would be too long.

    Args:
        comparison: What was judged.
        limit: Bytes at most.
    """
    head = f"## {escape(comparison.suite)}: {escape(comparison.closing)}\n\nAgainst {escape(comparison.baseline)}.\n"
    rows: list[str] = []
    for word, members in _groups(comparison):
        if members[0][1].verdict != "same":
            for name, item in members:
                look = f"`{plain(item.look).replace('`', '')}`" if _bad(item) and item.look else ""
                look = look.replace("|", "\\|")
                rows.append(f"| {sign_of(item)} {word} | {escape(name)} | {escape(plain(item.because))} | {look} |\n")
    head += "".join(f"\n- {escape(plain(note))}\n" for note in comparison.notes)
    table = "\n| verdict | value | why | look closer |\n| --- | --- | --- | --- |\n" if rows else ""
    same = [name for _, members in _groups(comparison) for name, item in members if item.verdict == "same"]
    tail = f"\n{len(same)} the same: {escape('; '.join(same))}.\n" if same else ""
    return _fitting(head + table, rows, tail, limit)


def _fitting(head: str, rows: Sequence[str], tail: str, limit: int) -> str:
    """Head, as many rows as fit, the tail if it fits; what is left out is told."""
    used, kept = len(head.encode()) + 200, []  # 200: the line that tells
    for row in rows:
        used += len(row.encode())
        if used > limit:
            break
        kept.append(row)
    left = len(rows) - len(kept)
    if left:
        note = f"\n{left} of {len(rows)} rows are left out: this page would be too long.\n"
        return head + "".join(kept) + note
    if used + len(tail.encode()) > limit:
        return head + "".join(kept) + "\nThe list of what stayed the same is left out: this page would be too long.\n"
    return head + "".join(kept) + tail


def junit(comparison: Comparison) -> bytes:
    """JUnit XML: a test case for each judgement; regressed fails, errored is an error, what cannot be told is skipped.

    What makes the run incomplete or, with ``strict``, fails it, is no mere skip: it is a failure.
    """
    cases = ET.Element("testsuite", name=_xml(comparison.suite), tests=str(len(comparison.judgements)))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for name, item in zip(labels(comparison.judgements), comparison.judgements, strict=True):
        case = ET.SubElement(cases, "testcase", classname=_xml(f"{comparison.suite}.{item.metric}"), name=_xml(name))
        _properties(case, item)
        kind = outcome_of(item, comparison.strict)
        if kind:
            counts[kind] += 1
            made = ET.SubElement(case, kind, message=_xml(f"{word_told(item)}: {item.because}"))
            made.text = _xml(item.look)
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        cases.set(attribute, str(counts[kind]))
    if not comparison.judgements:
        case = ET.SubElement(cases, "testcase", classname=_xml(comparison.suite), name="judged")
        ET.SubElement(case, "error", message=_xml(comparison.closing))
        cases.set("tests", "1")
        cases.set("errors", "1")
    root = ET.Element("testsuites")
    root.append(cases)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def outcome_of(item: Judgement, strict: bool = False) -> str:
    """The JUnit element of a judgement; empty for a pass."""
    return "error" if item.verdict == "errored" else JUNIT[consequence(item, strict)]


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


def error_lines(comparison: Comparison) -> list[str]:
    r"""``::error`` lines for what fails, ``::warning`` for what stays open; nothing in a name can start another one.

    >>> item = Judgement(variant="a\n::error::b", target="t", metric="m", value="v", against="baseline",
    ...                  verdict="regressed", because="100 %")
    >>> error_lines(Comparison(suite="s", baseline="b", exit_code=1, closing="", judgements=[item]))
    ['::error title=s::a ::error::b (t): v: regressed: 100 %25']
    """
    lines = []
    for name, item in zip(labels(comparison.judgements), comparison.judgements, strict=True):
        kind = GITHUB.get(consequence(item, comparison.strict))
        if kind:
            text = _command(f"{name}: {word_told(item)}: {plain(item.because)}")
            lines.append(f"::{kind} title={_property(comparison.suite)}::{text}")
    if comparison.exit_code and not any(line.startswith("::error") for line in lines):
        lines.append(f"::error title={_property(comparison.suite)}::{_command(comparison.closing)}")
    return lines


def _command(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
