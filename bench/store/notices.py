"""Notices of a store to whoever uses it: what was damaged, and what could not be kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.wording import plain

SHOWN = 2


@dataclass
class Notices:
    """Collected while a store is used, said once."""

    url: str
    damaged: dict[str, str] = field(default_factory=dict)  # file -> what is wrong with it
    unsealed: set[str] = field(default_factory=set)  # records from before there were checksums
    older: set[str] = field(default_factory=set)  # records whose arrays lie in a form that is no longer read
    unkept: dict[str, str] = field(default_factory=dict)  # file -> why it could not be written

    def lines(self) -> list[str]:
        """One line for each thing to say; each is said once."""
        lines, store = [], f"the store {plain(self.url)!r}"
        if self.damaged:
            examples = [f"{name}: {plain(why)}" for name, why in list(self.damaged.items())[:SHOWN]]
            examples += ["..."] if len(self.damaged) > SHOWN else []
            count, verb = _count(len(self.damaged))
            again = "what needs them is measured again" if len(self.damaged) > 1 else "what needs it is measured again"
            lines.append(f"{store}: {count} {verb} damaged and counted as absent, {again} ({'; '.join(examples)})")
        if self.unsealed:
            count, verb = _count(len(self.unsealed), "record")
            lines.append(f"{store}: {count} {verb} written before there were checksums, and counted as absent")
        if self.older:
            count, verb = _count(len(self.older), "record")
            lines.append(f"{store}: {count} {verb} written with arrays in an older form, and counted as absent")
        if self.unkept:
            reasons = ", ".join(dict.fromkeys(map(plain, self.unkept.values())))
            kept = "none of it is kept" if len(self.unkept) > 1 else "it is not kept"
            lines.append(f"{store}: {_count(len(self.unkept))[0]} could not be written ({reasons}): {kept}")
        for told in (self.damaged, self.unsealed, self.older, self.unkept):
            told.clear()
        return lines


def _count(number: int, thing: str = "file") -> tuple[str, str]:
    return (f"1 {thing}", "was") if number == 1 else (f"{number} {thing}s", "were")
