"""The tables of a suite file, as pydantic models; parameters of registered classes stand beside these keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.models.base import Recipe
from bench.networks.network import Combine, Dtype, Layout
from bench.runtimes.base import Target

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9_-]|\.[A-Za-z0-9_-])*$"
NAME_RULE = "letters, digits and single . _ - between them, beginning with a letter or digit"
OBJECT_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
HUB_PATTERN = r"^(timm|torchvision|huggingface):[A-Za-z0-9][A-Za-z0-9_./-]*$"
ObjectPath = Annotated[str, Field(pattern=f"{OBJECT_PATTERN}|{HUB_PATTERN}")]
Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    """A table whose every key is declared."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class OpenTable(BaseModel):
    """A table that also holds the parameters of the class it names; that class refuses unknown ones."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    @classmethod
    def parameters_in(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """The keys that belong to the named class."""
        return {key: value for key, value in raw.items() if key not in cls.model_fields}


class NameTable(_Table):
    """A table with a name."""

    name: Name = Field(description=NAME_RULE)


class InputTable(_Table):
    """The input of an outside network, where it differs from the data's declaration."""

    mean: list[float] | None = Field(None, min_length=1, description="per channel, subtracted from the image first")
    std: list[Annotated[float, Field(gt=0)]] | None = Field(
        None, min_length=1, description="per channel, the image is divided by it after the mean"
    )
    scale: float | None = Field(None, gt=0, description="the image is multiplied by it before the mean: 255 for 0..255")
    layout: Layout | None = Field(None, description="how the network takes the axes; NCHW by default")
    dtype: Dtype | None = Field(None, description="float32 by default; uint8: whole pixels after scale")
    output: Literal["logits", "probabilities"] | None = Field(
        None, description="what the network answers; found out by itself where it is left out"
    )
    output_name: str | None = Field(
        None, min_length=1, description="of several outputs, the one that holds the class scores"
    )
    classes: list[str] | list[int] | None = Field(
        None, min_length=2, description="the data's classes, names or numbers, in the order of the network's outputs"
    )
    members: int | None = Field(
        None, ge=2, description="networks in one: it puts out (batch, members, classes), a row of scores a member"
    )
    combine: Combine | None = Field(None, description="how members become one answer; mean_probability by default")

    def contradiction(self) -> tuple[str, str] | None:
        """The contradiction in a declaration, and what would be right."""
        if self.mean and self.std and len(self.mean) != len(self.std):
            what = f"{len(self.mean)} means and {len(self.std)} standard deviations"
            return what, "give one of each a channel"
        return None

    def declared(self) -> dict[str, Any]:
        """The declared keys alone, as ``InputSpec.canonical`` has them; the data's own classes stay what they are."""
        declared = self.model_dump(exclude_none=True)
        if "classes" in declared:
            declared["order"] = declared.pop("classes")
        return declared


class DataTable(OpenTable):
    """The data; the loader's own parameters stand here too."""

    loader: str = Field(description="a registered loader, or module:object")
    evaluation: int = Field(gt=0, description="the number of samples that every figure is measured on")
    calibration: int = Field(128, ge=0, description="the number of samples that steps may calibrate on")


class MethodTable(OpenTable):
    """An uncertainty method; its own parameters stand here too."""

    use: str = Field(description="a registered uncertainty method, or module:object")


class ReferenceTable(OpenTable):
    """The original network: exactly one of model, factory and onnx; the model's own parameters stand here too."""

    model: str | None = Field(None, description="a registered architecture, or module:object, trained on the spot")
    factory: ObjectPath | None = Field(
        None,
        description="module:object, a callable that returns a torch module; or timm:, torchvision:, huggingface:NAME",
    )
    onnx: str | None = Field(None, description="an ONNX file, relative to this file, or package:NAME/path in a package")
    checkpoint: str | None = Field(None, description="a safetensors file with the factory's weights")
    recipe: Recipe | None = Field(None, description="how the network is trained, and retrained")
    method: MethodTable | None = Field(None, description="makes several members of the model; leave it out for one")
    weights: str | None = Field(
        None, description="a folder with reference.safetensors and yardstick-1.safetensors, ... instead of training"
    )
    input: InputTable | None = Field(None, description="how an outside network takes its input")


class YardstickTable(_Table):
    """The yardsticks, which two equally good networks differ by; without them every gap is null."""

    retrained: int = Field(
        0, ge=0, description="how often the reference is retrained from another seed; 4 for an interval"
    )
    weight_noise: float | None = Field(
        None, gt=0, lt=1, description="instead: noisy copies of the reference that lose this much accuracy"
    )
    weight_noise_sigma: float | None = Field(
        None, gt=0, description="instead: noisy copies with this much noise, relative to each tensor's spread"
    )
    count: int = Field(4, ge=1, description="the number of noisy copies")


class OodTable(OpenTable):
    """A set of samples out of distribution, by a name for metrics; its source's own parameters stand here too."""

    name: Name = Field(description=NAME_RULE)
    source: str = Field(description="a registered source, or module:object")


class StepTable(OpenTable):
    """One compression step; its own parameters stand here too."""

    use: str = Field(description="a registered step, or module:object")


class VariantTable(_Table):
    """The reference after a chain of steps, or a network from outside (after a chain of steps)."""

    name: Name = Field(description=NAME_RULE)
    steps: list[StepTable] = Field(default_factory=list, description="the steps, first to last")
    factory: ObjectPath | None = Field(
        None,
        description="module:object, a callable that returns a torch module; or timm:, torchvision:, huggingface:NAME",
    )
    onnx: str | None = Field(None, description="an ONNX file, relative to this file, or package:NAME/path in a package")
    checkpoint: str | None = Field(None, description="a safetensors file with the factory's weights")
    input: InputTable | None = Field(
        None, description="how an outside network takes its input; as the reference does where they share the factory"
    )
    targets: list[str] | None = Field(
        None, min_length=1, description="names of targets; leave it out for all that can run it"
    )
    stages: bool = Field(
        False, description="also measure every stage of its chain: what each step, export and runtime adds"
    )


class GateTable(_Table):
    """A tolerance: exactly one rule on one value of the metric."""

    value: str = Field(description="the name of one of the metric's values")
    max_harm: Tolerance | None = Field(None, description="how much worse it may become, in its own unit")
    max_gap: Tolerance | None = Field(None, description="how far it may move, on the yardstick's scale")
    max_change: Tolerance | None = Field(None, description="how far it may move, in its own unit")
    min_value: float | None = Field(None, description="the least that the variant's own figure may be")
    max_value: float | None = Field(None, description="the most that the variant's own figure may be")
    per: Literal["class"] | None = Field(None, description="class: judged in every class apart; all must keep it")
    margin: Tolerance | None = Field(
        None,
        description="how much worse than a baseline it may become; by default the tolerance, or 0 for own figures",
    )


class MetricTable(OpenTable):
    """A metric; its own parameters stand here too."""

    use: str = Field(description="a registered metric, or module:object")
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="lists of values: one measurement for every combination"
    )
    gate: list[GateTable] = Field(default_factory=list, description="tolerances on its values")
    targets: list[str] | None = Field(
        None, min_length=1, description="names of the targets that it is measured on; leave it out for all"
    )


class SeriesTable(_Table):
    """Variants by the strength of their compression: how a value goes with it."""

    name: Name = Field(description=NAME_RULE)
    variants: list[str] = Field(min_length=1, description="names of three variants or more, by rising strength")
    strength: list[float] = Field(min_length=1, description="one number a variant, rising")
    reference: float | None = Field(
        None, description="the strength of no compression: the reference is a point of ratios and harms then"
    )
    axis: str = Field("", description="what the strength is, such as: share pruned")
    values: list[str] = Field(min_length=1, description="metric.value, such as lipschitz.global.certified")


class LandscapeTable(_Table):
    """The loss along lines, curves and simplexes between the members of a reference, and on a plane through three."""

    name: Name = Field(description=NAME_RULE)
    samples: int | None = Field(None, gt=0, description="the first n of the evaluation order, else all")
    points: int = Field(21, ge=3, le=1001, description="evenly spaced on a line or curve, both ends among them")
    draws: int = Field(20, ge=0, description="drawn uniformly in a simplex, beside vertices, middles and centre")
    grid: int = Field(15, ge=0, le=201, description="points a side of the plane through three modes; 0: no plane")
    margin: float = Field(0.2, ge=0, le=10, description="of the plane beyond the modes, as a share of their extent")
    batch_norm_samples: int | None = Field(
        None, ge=2, description="training samples for BatchNorm's statistics; the method's own number, else 512"
    )


Globs = Annotated[list[str], Field(min_length=1)]


class OverNetworksTable(BaseModel):
    """A section over many networks at once: which, and on how many samples."""

    name: Name = Field(description=NAME_RULE)
    variants: Globs = Field(default_factory=lambda: ["*"], description="names of variants, or globs over them")
    targets: Globs = Field(default_factory=lambda: ["*"], description="names of targets, or globs over them")
    samples: int | None = Field(None, gt=0, description="the first n of the evaluation order, else all")


class ExemplarsTable(OverNetworksTable, _Table):
    """Samples whose modal label over ten networks or more a side is another one after compression."""

    shown: int = Field(12, ge=0, description="exemplars that reports show, with pictures")


class TransferTable(OverNetworksTable, OpenTable):
    """Inputs made on each network judged on each other one; the attack's own parameters stand here too."""

    samples: int | None = Field(200, gt=0, description="the first n of the evaluation order")
    yardsticks: int | None = Field(None, ge=0, description="the first so many yardsticks, else all")


class EquivalentTable(OverNetworksTable, _Table):
    """How many networks of a deep ensemble each network is worth, beside a pool of single ones."""

    networks: int = Field(
        24, ge=4, le=100, description="of the pool: the reference's model and recipe without a method, from other seeds"
    )
    weights: str | None = Field(
        None, description="a folder with network-1.safetensors, network-2.safetensors, ... instead of training"
    )


class SuiteTable(_Table):
    """A suite: one reference, its compressed variants, where they run and what is measured."""

    name: Name | None = Field(None, description=f"{NAME_RULE}; the file's name by default")
    extends: str | None = Field(
        None, description="a suite that this one is laid over: tables key by key, lists replaced"
    )
    replicates: int = Field(
        1, ge=1, description="independent trainings of the whole chain; 5 or more for a recipe's interval"
    )
    seed: int = Field(0, ge=0, description="every random number derives from it")
    not_applicable: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="gated cells that may be skipped: globs over variant/target/metric, variant/target or variant",
    )
    data: DataTable = Field(description="the table [data] with a loader")
    ood: list[OodTable] = Field(default_factory=list, description="samples out of distribution")
    reference: ReferenceTable = Field(description="the table [reference] with a model, factory or onnx")
    yardstick: YardstickTable = Field(
        default_factory=lambda: YardstickTable(), description="what two equally good networks differ by"
    )
    target: list[Target] = Field(
        default_factory=list,
        description="where networks run; one target, of the runtime that fits the reference, by default",
    )
    variant: list[VariantTable] = Field(min_length=1, description="at least one [[variant]]")
    metric: list[MetricTable] = Field(min_length=1, description="at least one [[metric]]")
    series: list[SeriesTable] = Field(default_factory=list, description="values against the strength of a compression")
    landscape: list[LandscapeTable] = Field(
        default_factory=list, description="the loss between and around the members of the reference, in weight space"
    )
    exemplars: list[ExemplarsTable] = Field(
        default_factory=list, description="samples whose modal label over many networks changes"
    )
    transfer: list[TransferTable] = Field(
        default_factory=list, description="adversarial inputs made on each network, judged on each other one"
    )
    equivalent: list[EquivalentTable] = Field(
        default_factory=list, description="how many networks of a deep ensemble each network is worth"
    )
