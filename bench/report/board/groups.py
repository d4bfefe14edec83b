"""Which runs may stand in one table, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report.board.model import BoardRun
from bench.results import MachineInfo, Provenance

SHOWN = 12  # hexadecimal digits of a fingerprint
UNKNOWN = "not recorded"


def grouped(runs: Sequence[BoardRun]) -> list[list[BoardRun]]:
    """Runs of the same data, with as many evaluation samples, on one kind of processor; in the order given.

    What a run does not record is equal to nothing: such a run stands alone.
    """
    groups: list[list[BoardRun]] = []
    for run in runs:
        fitting = (group for group in groups if all(_joined(run, other) for other in group))
        if (group := next(fitting, None)) is None:
            groups.append([run])
        else:
            group.append(run)
    return groups


def _joined(one: BoardRun, other: BoardRun) -> bool:
    keys = _key(one), _key(other)
    return keys[0] == keys[1] and all(keys[0]) and not _sums_differ(_machine(one), _machine(other))


def _key(run: BoardRun) -> tuple[str, int, str, str]:
    data, machine = run.results.suite.data, _machine(run)
    device = "" if run.results.run is None else run.results.run.device
    if data is None:
        return "", 0, machine.fingerprint, device
    return data.fingerprint, data.evaluation, machine.fingerprint, device


def _machine(run: BoardRun) -> MachineInfo:
    return MachineInfo() if run.results.run is None else run.results.run.machine


def _sums_differ(one: MachineInfo, other: MachineInfo) -> bool:
    """Whether a provider sums 8-bit products in two ways; a run that measured nothing anew does not record how."""
    shared = one.integer_sums.keys() & other.integer_sums.keys()
    return any(one.integer_sums[name] != other.integer_sums[name] for name in shared)


def known_of(group: Sequence[BoardRun]) -> tuple[tuple[str, str], ...]:
    """What the runs of a group share, as names and texts."""
    data, machine = group[0].results.suite.data, _machine(group[0])
    sums = {name: str(kind or "unknown") for run in group for name, kind in _machine(run).integer_sums.items()}
    run = group[0].results.run
    return (
        ("data", UNKNOWN if data is None else f"{data.name} ({data.fingerprint[:SHOWN] or UNKNOWN})"),
        ("evaluation samples", UNKNOWN if data is None else str(data.evaluation)),
        ("processor", f"{machine.cpu or UNKNOWN}, {machine.cores or '?'} cores, {machine.system or UNKNOWN}"),
        ("8-bit instructions", ", ".join(machine.cpu_features) or "none"),
        ("sums of 8-bit products", ", ".join(f"{name} {kind}" for name, kind in sorted(sums.items())) or UNKNOWN),
        ("machine", machine.fingerprint or UNKNOWN),
        ("device", UNKNOWN if run is None else run.device),
    )


def differing(known: Sequence[tuple[tuple[str, str], ...]]) -> tuple[str, ...]:
    """The names in which groups are not all the same."""
    if not known:
        return ()
    return tuple(name for place, (name, _) in enumerate(known[0]) if len({group[place][1] for group in known}) > 1)


def remarks_of(group: Sequence[BoardRun]) -> tuple[str, ...]:
    """Versions and thread settings that are not the same in all runs: they may move latencies and last digits."""
    origins = [(run.name, run.results.run) for run in group if run.results.run is not None]
    names: dict[str, None] = {}
    for _, origin in origins:
        names |= dict.fromkeys(_settings(origin))
    lines = []
    for name in names:
        by_text: dict[str, list[str]] = {}
        for run, origin in origins:
            by_text.setdefault(_settings(origin).get(name) or "unset", []).append(run)
        if len(by_text) > 1:
            lines.append(f"{name}: {_told(by_text.items())}")
    return tuple(lines)


def _told(texts: Iterable[tuple[str, Sequence[str]]]) -> str:
    return "; ".join(f"{text} in {', '.join(runs)}" for text, runs in texts)


def _settings(origin: Provenance) -> dict[str, str]:
    packages = {name: version or "absent" for name, version in origin.packages.items()}
    return {"crbench": origin.crbench or "", "python": origin.python, **packages, **origin.threads}
