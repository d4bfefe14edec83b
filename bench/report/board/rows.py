"""The rows of a run: its reference on each target, then its variants, with what must be known before their figures."""

from __future__ import annotations

from collections import defaultdict

from bench.report.board.model import BoardRow, BoardRun


def rows_of(run: BoardRun) -> tuple[BoardRow, ...]:
    """References first, each target and replicate apart: costs and last digits depend on the target.

    What is said of all replicates together stands before each of them.
    """
    variants = sorted(run.results.variants, key=lambda variant: variant.replicate is not None)
    places = [(variant.target, variant.replicate) for variant in variants]
    replicates: dict[str, set[int | None]] = defaultdict(set)
    for target, replicate in places:
        replicates[target].add(replicate)
    said = _said(run)
    names: list[tuple[str | None, str, int | None]] = [(None, *place) for place in dict.fromkeys(places)]
    names += [(variant.name, variant.target, variant.replicate) for variant in variants]
    return tuple(
        BoardRow(
            run,
            name,
            target,
            replicate,
            len(replicates[target]) > 1,
            tuple(said.get(_whose(name, target, replicate), ())),
        )
        for name, target, replicate in names
    )


def warnings_of(run: BoardRun) -> tuple[str, ...]:
    """The warnings of a run that are said of no single row."""
    told = {text for texts in _said(run).values() for text in texts}
    return tuple(line for line in _lines(run) if _split(line)[1] not in told)


def _lines(run: BoardRun) -> list[str]:
    return [] if run.results.run is None else list(run.results.run.warnings)


def _whose(variant: str | None, target: str, replicate: int | None) -> str:
    """The words by which cautions name a network."""
    several = f" (replicate {replicate})" if replicate else ""
    return f"{'the reference' if variant is None else variant} on {target}{several}"


def _split(line: str) -> tuple[list[str], str]:
    names, mark, text = line.partition(": ")
    return (names.split(", "), text) if mark else ([], line)


def _said(run: BoardRun) -> dict[str, list[str]]:
    """Cautions by the network that they are said of: lines that begin with the names of rows."""
    known = {_whose(variant.name, variant.target, variant.replicate) for variant in run.results.variants}
    known |= {_whose(None, variant.target, variant.replicate) for variant in run.results.variants}
    said: dict[str, list[str]] = defaultdict(list)
    for line in _lines(run):
        names, text = _split(line)
        if names and known.issuperset(names):
            for name in names:
                said[name].append(text)
    return said
