"""A declared set of attacks: names with parameters, in the order in which they are run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields

from pydantic import ValidationError

from bench.attacks.base import Attack, Norm, attacks
from bench.errors import UserError
from bench.registry import nearest, parse_parameters


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
    match = re.fullmatch(r"([\w.:-]+)(?:\[(.*)\])?", text.strip())
    if match is None:
        raise UserError.at(where, f"{text!r} cannot be read", "write it as square[queries=500]")
    cls = attacks.get(match[1], where)
    given = parse_parameters(match[2] or "", f"{where}: {match[1]}")
    known = [f.name for f in fields(cls)]
    for name in given:
        if name not in known:
            raise UserError.at(where, f"{match[1]} has no parameter {name!r}", nearest(name, known) if known else "")
    if norm not in cls.norms:
        right = f"choose another attack, or norm {' or '.join(cls.norms)}"
        raise UserError.at(where, f"{match[1]} knows no changes in {norm}", right)
    try:
        return cls(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError.at(where, f"{match[1]}[{place}]: {first['msg']}", f"see crbench describe {match[1]}") from None
