"""Building the module of a source record: an architecture, or what a factory returns."""

from __future__ import annotations

from typing import Any

from torch import nn

from bench.errors import UserError
from bench.interrupts import contained
from bench.models.base import Model, models
from bench.models.training import reproducible
from bench.networks.materialise import materialise
from bench.networks.network import InputSpec
from bench.outside_networks.hub import build_named, hub_package
from bench.registry import check_code, load_object
from bench.uncertainty.base import Method, methods


def architecture_of(record: dict[str, Any]) -> Model:
    """The architecture of a source record of kind ``model``."""
    return models.get(record["model"])(**record["parameters"])


def method_of(record: dict[str, Any]) -> Method | None:
    """The method that made the members of a source record; None of a single network."""
    made = record.get("method")
    return None if made is None else methods.get(made["method"])(**made["parameters"])


def build_source(record: dict[str, Any], seed: int) -> nn.Module:
    """The untrained module of a source record, in eval mode, initialised by the seed as ``initialise`` does.

    Weights that a factory's network computes before each pass are parameters, as they were when it was taken in.

    Raises:
        UserError: the record is of a file, or of a factory that no longer gives a module.
    """
    if record["source"] == "model":
        declared, method = InputSpec.from_canonical(record["input"]), method_of(record)
        with reproducible("initialise", seed):
            if method is None:
                return architecture_of(record).build(declared).eval()
            return method.build(architecture_of(record), declared.one_member).eval()
    if record["source"] == "factory":
        from bench.networks.answers import with_answer

        module = call_factory(record["factory"], seed, "factory")
        materialise(module, "factory")
        return with_answer(module, record)
    raise UserError.at("record", f"a source of kind {record['source']!r} has no structure to build", "")


def call_factory(factory: str, seed: int, where: str, *, pretrained: bool = False) -> nn.Module:
    """Call ``module:object``, or build ``timm:NAME`` and its like, and return the torch module in eval mode.

    ``pretrained``: with the weights that are published under such a name; a factory of the user's own knows best.

    Raises:
        UserError: it cannot be imported, is not callable, fails, or returns something else.
    """
    check_code(factory, where)  # names of timm and its like too: they fetch, and run that package's code
    if hub_package(factory) is not None:
        with reproducible("initialise", seed):
            return build_named(factory, pretrained, where).eval()
    maker = load_object(factory, where)
    if not callable(maker):
        raise UserError.at(where, f"{factory!r} is not callable", "give a function that returns a torch module")
    try:
        with contained(), reproducible("initialise", seed):
            module = maker()
    except Exception as error:  # the user's own code: its failure is one line, the cause stays attached
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError.at(where, f"{factory!r} failed: {reason}", "it is called without arguments") from error
    if not isinstance(module, nn.Module):
        right = "return a torch.nn.Module"
        raise UserError.at(where, f"{factory!r} returned {type(module).__name__}", right)
    return module.eval()
