"""A declared set of attacks: names with parameters, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.attacks.base import Attack, Norm, attacks
from bench.errors import UserError
from bench.registry import built, parse_named


def declared_attacks(texts: Sequence[str], norm: Norm, where: str = "attacks") -> tuple[Attack, ...]:
    """The attacks of texts such as ``pgd[steps=40]``; values are TOML literals.

    >>> declared_attacks(["pgd[steps=40]"], "linf")[0].steps
    40

    Raises:
        UserError: no attack, an unknown one or the same twice, a parameter that it has not or a value that it refuses,
            or an attack that knows no such norm.
    """
    if not texts:
        raise UserError.at(where, "it is empty", f"name attacks, such as {', '.join(attacks.names()[:3])}")
    return tuple(declared_attack(text, norm, f"{where}[{number}]") for number, text in enumerate(texts))


def declared_attack(text: str, norm: Norm, where: str = "attack") -> Attack:
    """One attack of a text; raises as ``declared_attacks`` does."""
    name, given = parse_named(text, where, "square[queries=500]")
    cls = attacks.get(name, where)
    if norm not in cls.norms:
        right = f"choose another attack, or norm {' or '.join(cls.norms)}"
        raise UserError.at(where, f"{name} knows no changes in {norm}", right)
    return built(cls, name, given, where)
