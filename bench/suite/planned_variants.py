"""The networks of variants: chains of steps, trained anew or as they were kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.stats.streams import derive_seed
from bench.store.keys import key_of
from bench.suite.planned_networks import PlannedNetwork, Splits, file_sha256, plan_outside, plan_reference, plan_step
from bench.suite.suite import Suite, Variant

FREE = ("packages",)  # what a kept network does not depend on


def plan_variant(suite: Suite, variant: Variant, splits: Splits, replicate: int) -> PlannedNetwork:
    """A variant's chain; equal prefixes of chains are the same networks, by key.

    Beside kept weights of the reference, what a step trained and ``crbench weights`` kept is taken as it is: trained
    on another processor it would be another network, and no baseline would hold for it.
    """
    if variant.outside is not None:
        network = plan_outside(variant.outside, splits)
    else:
        network = plan_reference(suite, splits, replicate)
    return after_steps(suite, variant, network, splits, derive_seed(suite.seed, "step", replicate))


def plan_on_yardstick(
    suite: Suite, variant: Variant, yardstick: PlannedNetwork, splits: Splits, index: int
) -> PlannedNetwork:
    """A variant's chain on a yardstick in place of the reference, its steps drawn from a seed of its own."""
    return after_steps(suite, variant, yardstick, splits, derive_seed(suite.seed, "step", "yardstick", index))


def after_steps(suite: Suite, variant: Variant, network: PlannedNetwork, splits: Splits, seed: int) -> PlannedNetwork:
    """A network after a variant's steps."""
    for step in variant.steps:
        planned = plan_step(network, step, seed, splits, suite.reference.recipe)
        network = with_kept(planned, suite.reference.weights)
    return network


def trains(node: PlannedNetwork) -> bool:
    """Whether a node's own step uses the training data, so that its result hangs on the processor's arithmetic."""
    return node.step is not None and "train" in node.step.uses()


def kept_name(node: PlannedNetwork) -> str:
    """The file's name: the last step, and a digest of the whole chain, its data and the reference's weights."""
    assert node.step is not None
    return f"{node.step.name}-{key_of(_lasting(node.parts))[:16]}.safetensors"


def with_kept(node: PlannedNetwork, folder: Path | None) -> PlannedNetwork:
    """The node as it was kept in a folder of weights; the node itself, which trains, where it was not.

    The content of the file counts then, not the packages that trained it.
    """
    if folder is None or not trains(node):
        return node
    file = folder / kept_name(node)
    if not file.is_file():
        return node
    parts = {**_lasting(node.parts), "of": node.parts["of"], "source": "kept", "weights": file_sha256(file)}
    return replace(node, parts=parts, weights=file)


def _lasting(parts: dict[str, Any]) -> dict[str, Any]:
    """The parts of a node and of what it was made of, without packages and without the weights that steps kept."""
    kept = parts.get("source") == "kept"
    lasting = {name: value for name, value in parts.items() if name not in FREE and not (kept and name == "weights")}
    if "of" in parts:
        lasting |= {"of": _lasting(parts["of"]), "source": "step"}
    return lasting
