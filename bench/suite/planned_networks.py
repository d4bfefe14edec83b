"""The networks of a plan: a tree of sources and steps, each with the parts of its key; none is made here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast

from bench.compression.base import Step, steps
from bench.errors import UserError
from bench.models.base import Model, Recipe
from bench.networks.network import InputSpec, Kind
from bench.outside_networks.hub import hub_package
from bench.stats.streams import derive_seed
from bench.store.keys import Keyed
from bench.suite.suite import Outside, Suite
from bench.uncertainty.base import Method

Role = Literal["reference", "yardstick", "variant"]
OUTSIDE_VERSION = 2  # rises when the same file or factory is taken in as another network
INTAKE_SAMPLES = 64  # of the evaluation split, on which networks from outside are taken in
SOURCE_VERSION = 1  # rises when the same recipe trains another network


@cache
def package_version(package: str) -> str:
    """The installed version; ``absent`` where the package is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def package_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions by package."""
    return {package: package_version(package) for package in packages}


def file_sha256(path: Path) -> str:
    """Content hash of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError.at(str(path), f"cannot be read: {error.strerror}", "give a file to read") from None


def onnx_kind(source: Path | bytes) -> Kind:
    """Whether an ONNX file rounds to integers, by its content; a broken file counts as one that does not."""
    from bench.onnx_files.reading import is_quantised

    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        return "onnx-quantised" if is_quantised(content) else "onnx"
    except Exception:  # what is wrong with it is said when it is loaded
        return "onnx"


@dataclass(frozen=True, eq=False)
class PlannedNetwork(Keyed):
    """A network to make: trained, from outside, or its parent after a step."""

    parts: dict[str, Any]
    kind: str
    seed: int = 0
    model: Model | None = None
    recipe: Recipe | None = None
    method: Method | None = None
    outside: Outside | None = None
    parent: PlannedNetwork | None = None
    step: Step | None = None
    weights: Path | None = None

    def answers(self, declared: InputSpec) -> InputSpec:
        """How what is trained on such data answers: as several members where a method makes them."""
        return declared if self.method is None else self.method.answers(declared)


def chain(network: PlannedNetwork | None) -> Iterator[PlannedNetwork]:
    """A network and those it was made of, last first."""
    while network is not None:
        yield network
        network = network.parent


def root(network: PlannedNetwork) -> PlannedNetwork:
    """The network that a chain of steps begins with."""
    return list(chain(network))[-1]


@dataclass(frozen=True)
class Splits:
    """Fingerprints of the data that steps may use."""

    train: str
    calibration: str
    input: dict[str, Any]
    intake: str = ""  # the samples on which networks from outside are taken in


def _model_parts(model: Model, method: Method | None) -> dict[str, Any]:
    made = {} if method is None else {"method": method.canonical()}
    parameters = {f.name: getattr(model, f.name) for f in fields(model)}  # type: ignore[arg-type]
    return {**made, "model": model.name, "parameters": parameters}


def plan_trained(
    model: Model, recipe: Recipe, seed: int, splits: Splits, method: Method | None = None
) -> PlannedNetwork:
    """A network that the run trains."""
    parts = {
        "source": "trained",
        "version": SOURCE_VERSION,
        **_model_parts(model, method),
        "recipe": recipe.canonical(),
        "seed": seed,
        "train": splits.train,
        "input": splits.input,
        "packages": package_versions(("torch",)),
    }
    return PlannedNetwork(parts, "torch", seed=seed, model=model, recipe=recipe, method=method)


def plan_weights(
    model: Model,
    recipe: Recipe,
    weights: Path,
    splits: Splits,
    method: Method | None = None,
    where: str = "reference.weights",
) -> PlannedNetwork:
    """A network whose trained weights were kept: the file's content counts, not how or where it was trained."""
    if not weights.is_file():
        right = "write it with: crbench weights SUITE"
        raise UserError.at(where, f"no file {weights.name} in {weights.parent}", right)
    parts = {
        "source": "weights",
        "version": SOURCE_VERSION,
        **_model_parts(model, method),
        "recipe": recipe.canonical(),
        "weights": file_sha256(weights),
        "input": splits.input,
    }
    return PlannedNetwork(parts, "torch", model=model, recipe=recipe, method=method, weights=weights)


def onnx_source(outside: Outside) -> Path | bytes | None:
    """The ONNX file that a network from outside is; None where it is none."""
    if outside.held is not None and outside.held.kind == "onnx":
        content: bytes = outside.held.content
        return content
    return outside.onnx


def outside_kind(outside: Outside) -> Kind:
    """The kind of network that one from outside is; what cannot be read counts as not quantised."""
    file = onnx_source(outside)
    if file is not None:
        return onnx_kind(file)
    return "function" if outside.held is not None and outside.held.kind == "function" else "torch"


def plan_outside(outside: Outside, splits: Splits) -> PlannedNetwork:
    """A network somebody else made; its content is hashed, not its path.

    What its answers mean is found on samples, which therefore count too.
    """
    parts: dict[str, Any] = {
        "source": "outside",
        "version": OUTSIDE_VERSION,
        "input": splits.input | outside.input,
        "output_declared": "output" in outside.input,
        "intake": splits.intake,
    }
    file = onnx_source(outside)
    if file is not None:
        from bench.onnx_files.reading import onnx_sha256

        parts["onnx"] = onnx_sha256(file)
        return PlannedNetwork(parts, onnx_kind(file), outside=outside)
    if outside.held is not None:
        return PlannedNetwork(parts | {"memory": outside.held.parts()}, outside_kind(outside), outside=outside)
    assert outside.factory is not None
    parts["factory"] = outside.factory
    package = hub_package(outside.factory)
    parts["code"] = _factory_hash(outside.factory) if package is None else package_versions((package,))
    parts["checkpoint"] = None if outside.checkpoint is None else file_sha256(outside.checkpoint)
    return PlannedNetwork(parts, "torch", outside=outside)


def _factory_hash(factory: str) -> str:
    """Hash of the source file that holds the factory."""
    import inspect

    from bench.registry import load_object

    source = inspect.getsourcefile(load_object(factory, "factory"))
    return file_sha256(Path(source)) if source else "unknown"


def plan_step(parent: PlannedNetwork, step: Step, seed: int, splits: Splits, recipe: Recipe | None) -> PlannedNetwork:
    """The network that a step makes of its parent."""
    parts: dict[str, Any] = {
        "source": "step",
        **step.canonical(),
        "seed": seed,
        "packages": package_versions(step.packages),
        "of": parent.parts,
    }
    for need in sorted(step.uses()):
        if need == "recipe":
            parts["recipe"] = None if recipe is None else recipe.canonical()
        else:
            parts[need] = getattr(splits, need)
    return PlannedNetwork(parts, step.produces(parent.kind), seed=seed, recipe=recipe, parent=parent, step=step)


def plan_reference(suite: Suite, splits: Splits, replicate: int) -> PlannedNetwork:
    """The reference of a replicate; one from outside is the same in all."""
    source = suite.reference
    if source.outside is not None:
        return plan_outside(source.outside, splits)
    assert source.model is not None
    assert source.recipe is not None
    if source.weights is not None:
        return plan_weights(
            source.model, source.recipe, source.weights / "reference.safetensors", splits, source.method
        )
    return plan_trained(
        source.model, source.recipe, derive_seed(suite.seed, "reference", replicate), splits, source.method
    )


def plan_yardsticks(suite: Suite, splits: Splits) -> tuple[PlannedNetwork, ...]:
    """Retrained networks, or declared noisy copies of the reference; seeds disjoint from the replicates'."""
    source = suite.reference
    if suite.yardstick.outside:
        return tuple(plan_outside(item, splits) for item in suite.yardstick.outside)
    if suite.yardstick.noisy:
        amount = {"accuracy_loss": suite.yardstick.weight_noise, "sigma": suite.yardstick.weight_noise_sigma}
        noise = cast(Any, steps.get("weight-noise"))(**{k: v for k, v in amount.items() if v is not None})
        reference = plan_reference(suite, splits, 0)
        seeds = [derive_seed(suite.seed, "yardstick", index) for index in range(suite.yardstick.count)]
        return tuple(plan_step(reference, noise, seed, splits, source.recipe) for seed in seeds)
    if source.model is None or source.recipe is None:
        return ()
    if source.weights is not None:
        names = [f"yardstick-{index + 1}.safetensors" for index in range(suite.yardstick.retrained)]
        return tuple(
            plan_weights(source.model, source.recipe, source.weights / name, splits, source.method) for name in names
        )
    seeds = [derive_seed(suite.seed, "yardstick", index) for index in range(suite.yardstick.retrained)]
    return tuple(plan_trained(source.model, source.recipe, seed, splits, source.method) for seed in seeds)
