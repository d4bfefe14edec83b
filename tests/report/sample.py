"""A realistic run made by hand: every kind of value, upper limits, nulls, an error, skips, alarms, all verdicts."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from bench.engine.variant_ratios import neighbours
from bench.functional.map_pictures import png
from bench.gate import judge_results
from bench.results import (
    Artefact,
    BoundInfo,
    Cell,
    DataInfo,
    Example,
    FamilyResult,
    GitState,
    MachineInfo,
    Parity,
    Provenance,
    ReferenceResult,
    Results,
    SourceRecord,
    StepUse,
    SuiteInfo,
    TwinParity,
    ValueReference,
    ValueResult,
    VariantRatio,
    VariantResult,
)

TARGETS = ("torch", "edge")
N = 600
PICTURE = base64.b64encode(png(np.zeros((2, 11, 3), np.uint8))).decode()
EXAMPLE = Example(sample="digits/0652", value="cosine_distance", distance=0.83, picture=PICTURE)
NO_GRADIENT = "no input gradients on runtime 'onnxruntime'"


@dataclass(frozen=True)
class Gate:
    """A tolerance as a suite declares it."""

    value: str
    rule: str
    tolerance: float


GATES = (
    ("fidelity.accuracy", {}, (Gate("accuracy", "max_harm", 0.02),)),
    ("adversarial.pgd", {"epsilon": 0.1, "steps": 20}, (Gate("robust_error", "max_harm", 0.03),)),
    ("attribution.ig", {"steps": 50}, (Gate("cosine_distance", "max_gap", 1.0),)),
)


@dataclass(frozen=True)
class Recipe:
    """What one variant did, in a handful of figures."""

    name: str
    steps: tuple[tuple[str, dict[str, Any]], ...]
    flips: float
    accuracy: float
    robust: float
    gaps: tuple[float, float, float, float, float]
    size: float
    targets: tuple[str, ...] = TARGETS
    same: bool = False


RECIPES = (
    Recipe("fold", (("bn-fold", {}),), 0.0, 0.972, 0.184, (0.004, 0.003, 0.0, 0.002, 0.003), 104e3, same=True),
    Recipe(
        "prune30",
        (("structured-prune", {"ratio": 0.3, "importance": "l1"}),),
        0.212,
        0.811,
        0.431,
        (2.41, 1.32, 1.9, 1.21, 2.2),
        54e3,
    ),
    Recipe(
        "prune30-finetune",
        (("structured-prune", {"ratio": 0.3}), ("finetune", {"epochs": 3})),
        0.031,
        0.966,
        0.245,
        (0.94, 0.88, 1.31, 0.86, 0.91),
        54e3,
    ),
    Recipe("ptq8", (("ptq", {"bits": 8}),), 0.004, 0.971, 0.186, (0.11, 0.09, 0.12, 0.08, 0.10), 105e3),
    Recipe(
        "ptq4", (("ptq", {"bits": 4}),), 0.033, 0.958, 0.214, (0.82, 0.61, 0.93, 0.72, 0.85), 105e3, targets=("torch",)
    ),
    Recipe(
        "ort-int8",
        (("onnx-export", {}), ("ort-static-quant", {"per_channel": True})),
        0.006,
        0.970,
        0.187,
        (0.16, 0.14, 0.18, 0.15, 0.14),
        31e3,
        targets=("edge",),
    ),
    Recipe(
        "control-noise",
        (("weight-noise", {"accuracy_loss": 0.01}),),
        0.027,
        0.961,
        0.201,
        (0.71, 0.52, 0.64, 0.55, 0.66),
        104e3,
        targets=("torch",),
    ),
)


def _around(number: float, width: float, low: float = -math.inf) -> tuple[float, float]:
    return max(low, number - width), number + width * 1.1


def change(
    gap: float, power: int, scale: float, *, unit: str = "", counts: bool = False, same: bool = False
) -> ValueResult:
    """A change whose gap is consistent with its yardsticks (geometric mean ``scale``)."""
    estimate = gap**power * scale
    own = [0.88, 1 / 0.88, 1.1, 1 / 1.1]
    marks = [scale * factor**power for factor in own]
    known: dict[str, Any] = {"n": N, "power": power, "yardsticks": marks, "yardstick_gaps": own}
    if counts and estimate == 0:
        return ValueResult(
            kind="change",
            unit=unit,
            estimate=0.0,
            ci=(0.0, 0.0061),
            interval="exact",
            gap_ci=(None, 0.0061 / scale),
            **known,
            numerical_floor=0.0,
            reason="fewer than ten events",
        )
    if same:
        return ValueResult(
            kind="change",
            unit=unit,
            estimate=estimate,
            ci=_around(estimate, estimate / 4),
            interval="bootstrap",
            gap_ci=(None, gap * 1.4),
            **known,
            numerical_floor=estimate * 1.5,
            reason="within the numerical floor",
        )
    return ValueResult(
        kind="change",
        unit=unit,
        estimate=estimate,
        ci=_around(estimate, estimate / 4, 0),
        interval="exact" if counts else "bootstrap",
        gap=gap,
        gap_ci=(gap / 1.3, gap * 1.3),
        gap_further=gap / 1.7,
        **known,
        numerical_floor=1e-9,
    )


def quality(
    reference: float, variant: float, width: float, *, better: str, unit: str = "", interval: str = "bootstrap"
) -> ValueResult:
    """A quality with its harm."""
    harm = variant - reference if better == "lower" else reference - variant
    return ValueResult(
        kind="quality",
        unit=unit,
        better=better,
        reference=reference,
        variant=variant,
        estimate=harm,
        ci=None if interval == "none" else _around(harm, width),
        interval=interval,
        seed_ratio=harm / 0.006,
        yardsticks=[reference + 0.004, reference - 0.003, reference, reference + 0.002],
        p_value=min(1.0, math.exp(-abs(harm) / width * 2)),
        p_adjusted=0.01 if abs(harm) > width else 1.0,
        numerical_floor=0.0,
        reason="a percentile interval on plug-in ECE does not cover" if interval == "none" else "",
    )


def cost(reference: float, variant: float, unit: str) -> ValueResult:
    """A cost with its ratio."""
    return ValueResult(
        kind="cost", unit=unit, better="lower", reference=reference, variant=variant, estimate=variant / reference
    )


def _values(recipe: Recipe, target: str) -> list[tuple[str, str, dict[str, Any], dict[str, ValueResult]]]:
    fidelity, lipschitz, adversarial, attribution, uncertainty = recipe.gaps
    worse, same = 0.972 - recipe.accuracy, recipe.same
    bound = ValueResult(
        kind="bound",
        better="lower",
        reference=14.2,
        variant=14.2 * (1 + worse),
        reason="one-sided bounds leave the ratio open",
        bound=BoundInfo(kind="lower", norm="l2->l2", domain="evaluation samples"),
    )
    certified = ValueResult(
        kind="bound",
        better="lower",
        reference=310.0,
        variant=290.0,
        bound=BoundInfo(kind="certified", norm="l2->l2", domain="all inputs", ratio=(0.05, 20.4)),
    )
    latency = 0.21 if target == "torch" else 0.043
    return [
        (
            "fidelity.predictions",
            "fidelity",
            {},
            {
                "flip_rate": change(recipe.flips / 0.034, 1, 0.034, unit="proportion", counts=True),
                "js": change(fidelity, 2, 0.011, unit="nats", same=same),
            },
        ),
        (
            "fidelity.accuracy",
            "fidelity",
            {},
            {
                "accuracy": quality(
                    0.972, recipe.accuracy, 0.006 + worse / 9, better="higher", unit="proportion", interval="score"
                )
            },
        ),
        (
            "lipschitz.local",
            "lipschitz",
            {},
            {
                "largest_jacobian_norm": bound,
                "global_bound": certified,
                "jacobian_difference": change(lipschitz, 1, 1.7, same=same),
            },
        ),
        (
            "adversarial.pgd",
            "adversarial",
            {"epsilon": 0.05, "steps": 20},
            {
                "robust_error": quality(
                    0.071,
                    0.071 + (recipe.robust - 0.184) / 2,
                    0.014,
                    better="lower",
                    unit="proportion",
                    interval="score",
                )
            },
        ),
        (
            "adversarial.pgd",
            "adversarial",
            {"epsilon": 0.1, "steps": 20},
            {
                "robust_error": quality(
                    0.184, recipe.robust, 0.021, better="lower", unit="proportion", interval="score"
                ),
                "verdict_flip_rate": change(adversarial, 1, 0.062, unit="proportion", counts=True),
            },
        ),
        ("attribution.ig", "attribution", {"steps": 50}, {"cosine_distance": change(attribution, 2, 0.21, same=same)}),
        (
            "uncertainty.calibration",
            "uncertainty",
            {},
            {
                "nll": quality(0.094, 0.094 + 3 * worse, 0.02 + worse, better="lower", unit="nats"),
                "ece": quality(0.011, 0.011 + worse / 2, 0.01, better="lower", unit="proportion", interval="none"),
                "confidence_change": change(uncertainty, 1, 0.026, same=same),
            },
        ),
        (
            "cost",
            "cost",
            {},
            {
                "file_bytes": cost(104e3, recipe.size, "bytes"),
                "parameters": cost(25_450, 25_450 * recipe.size / 104e3, ""),
                "latency_median": cost(latency, latency * (0.5 + recipe.size / 208e3), "ms"),
            },
        ),
    ]


# as the probe of global bounds notes them; the second network has lost a layer
LAYERS = {
    "reference": {
        "layers": {"conv1": [12.1721, "SVD of the operator"], "relu": [1.0, "slopes"], "fc": [2.1139, "SVD"]}
    },
    "variant": {"layers": {"conv1": [8.7337, "SVD of the operator"], "fc": [1.6512, "SVD"], "<b>out": [0.41, "SVD"]}},
}
PARITY = TwinParity(
    samples=64,
    unit="logit spread",
    unit_in_logits=4.1,
    logit_difference={"0.5": 1e-7, "0.9": 2e-7, "0.99": 3e-7, "1": 3.2e-7},
    argmax_agreement=1.0,
)
ROUNDED = TwinParity(
    samples=64,
    unit="output step",
    unit_in_logits=4.1,
    logit_difference={"0.5": 0.0, "0.9": 0.0, "0.99": 1.0, "1": 1.0},
    argmax_agreement=63 / 64,
)


def _cells(recipe: Recipe, target: str) -> list[Cell]:
    cells = []
    for metric, family, params, values in _values(recipe, target):
        cell = Cell(
            variant=recipe.name,
            target=target,
            metric=metric,
            family=family,
            params=params,
            n=N,
            status="ok",
            values=values,
            seconds=0.8,
            key="ab" * 32,
            protocol={**params, "draws": 10_000},
            details={"variant": {"quantiles": [0.1, 0.5, 0.9]}, **(LAYERS if family == "lipschitz" else {})},
            examples=[EXAMPLE] if family == "attribution" else [],
        )
        through_twin = target == "edge" and family in ("adversarial", "attribution", "lipschitz")
        if through_twin and recipe.name == "fold":
            cell.parity = Parity(reference=PARITY, variant=ROUNDED)
        elif through_twin:
            cell = cell.model_copy(update={"status": "skipped", "reason": NO_GRADIENT, "values": {}, "n": 0})
        if recipe.name == "control-noise" and family == "attribution":
            reason = "RuntimeError: integrated gradients are not finite for sample digits/1203"
            cell = cell.model_copy(update={"status": "error", "reason": reason, "values": {}, "n": 0})
        cells.append(cell)
    return cells


def _headline(metric: str, value: str, **params: Any) -> ValueReference:
    return ValueReference(metric=metric, params=params, value=value)


HEADLINES = {
    "fidelity": _headline("fidelity.predictions", "js"),
    "lipschitz": _headline("lipschitz.local", "jacobian_difference"),
    "adversarial": _headline("adversarial.pgd", "verdict_flip_rate", epsilon=0.1, steps=20),
    "attribution": _headline("attribution.ig", "cosine_distance", steps=50),
    "uncertainty": _headline("uncertainty.calibration", "confidence_change"),
}


def _family(name: str, cells: list[Cell]) -> FamilyResult:
    headline = HEADLINES[name]
    for cell in cells:
        if cell.family == name and headline.value in cell.values:
            value = cell.values[headline.value]
            alarm = None if value.gap is None else value.gap / 1.45
            return FamilyResult(
                headline=headline,
                gap=value.gap,
                gap_ci=value.gap_ci,
                alarm=alarm,
                alarm_value=None if alarm is None else headline,
                reason=value.reason,
            )
    return FamilyResult(headline=headline, reason=next(cell.reason for cell in cells if cell.family == name))


def _ratios(cells: list[Cell]) -> list[VariantRatio]:
    """Each variant beside the next nearer one and the nearest, as far apart as their changes are."""
    found = []
    for (family, reference), target in product(HEADLINES.items(), ("torch", "edge")):
        known = [
            cell
            for cell in cells
            if (cell.metric, cell.params, cell.target) == (reference.metric, reference.params, target)
            and cell.status == "ok"
        ]
        for pair in neighbours([cell.values[reference.value].estimate or 0.0 for cell in known]):
            far, near = (known[place] for place in pair[:2])
            changes = [cell.values[reference.value] for cell in (far, near)]
            place = {
                "first": far.variant, "second": near.variant, "target": target, "family": family, "metric": far.metric,
                "params": far.params, "next_nearer": pair.next_nearer, "nearest": pair.nearest,
            }  # fmt: skip
            found.append(VariantRatio(**place, **_ratio(reference.value, *changes)))
    return found


def _ratio(name: str, far: ValueResult, near: ValueResult) -> dict[str, Any]:
    assert far.estimate is not None
    assert near.estimate is not None
    if near.estimate <= (near.numerical_floor or 0.0):
        low = (far.ci or (0.0, 0.0))[0] or 0.0
        limit = low / (near.numerical_floor or 1.0)
        return {"value": name, "ci": (limit, None), "told_apart": limit > 1, "reason": "near the floor"}
    ratio = (far.estimate / near.estimate) ** (1 / (far.power or 1))
    ends = ratio / 1.2, ratio * 1.2
    return {"value": name, "ratio": ratio, "ci": ends, "interval": "bootstrap", "told_apart": ends[0] > 1}


def sample() -> Results:
    """Seven variants on two targets, judged."""
    cells, variants = [], []
    for recipe in RECIPES:
        for target in recipe.targets:
            mine = _cells(recipe, target)
            cells += mine
            steps = [StepUse(step=name, version=1, parameters=parameters) for name, parameters in recipe.steps]
            families = {name: _family(name, mine) for name in HEADLINES}
            variants.append(
                VariantResult(
                    name=recipe.name,
                    target=target,
                    steps=steps,
                    families=families,
                    artefact=Artefact(kind="torch", key="cd" * 32, record=SourceRecord(kind="torch", source="model")),
                    cost={"file_bytes": recipe.size},
                )
            )
    run = Provenance(
        crbench="0.1.0",
        started="2026-01-05T10:00:00+00:00",
        argv=["crbench", "run", "suites/digits.toml"],
        git=GitState(commit="0" * 40, dirty=True),
        python="3.11.9",
        packages={"torch": "2.13.0", "onnxruntime": "1.31.0"},
        machine=MachineInfo(cpu="Example CPU", cores=2, cpu_features=["avx2"]),
        seed=0,
    )
    results = Results(
        suite=SuiteInfo(name="digits", fingerprint="ef" * 32, data=DataInfo(name="digits", train=1000, evaluation=N)),
        run=run,
        reference=ReferenceResult(
            description={"model": "convnet", "epochs": 20}, yardsticks=4, yardstick_kind="retrained"
        ),
        variants=variants,
        cells=cells,
        variant_ratios=_ratios(cells),
    )
    return judge_results(results, GATES)


HOSTILE = "<script>alert('x')</script>\"'&\n\x1b[31m| `x` [red]![i](javascript:1) \u202e"


def hostile() -> Results:
    """The sample with names, reasons and provenance that try to break out of every format."""
    results = sample().model_copy(deep=True)
    cell, variant = results.cells[0], results.variants[0]
    place = cell.variant, cell.target
    for one in results.cells:
        if (one.variant, one.target) == place:
            one.variant, one.target, one.protocol = HOSTILE, HOSTILE, {HOSTILE: HOSTILE}
    variant.name, variant.target, variant.steps = (
        HOSTILE,
        HOSTILE,
        [StepUse(step=HOSTILE, version=1, parameters={HOSTILE: HOSTILE})],
    )
    variant.families[HOSTILE] = FamilyResult(
        headline=_headline(HOSTILE, HOSTILE), alarm=2.0, alarm_value=_headline(HOSTILE, HOSTILE), reason=HOSTILE
    )
    results.suite.name = HOSTILE
    for ratio in results.variant_ratios[:2]:
        ratio.first, ratio.target, ratio.reason, ratio.ci = HOSTILE, HOSTILE, HOSTILE, None
    assert results.run is not None
    results.run.packages[HOSTILE], results.run.argv, results.run.warnings = HOSTILE, [HOSTILE], [HOSTILE]
    last = results.cells[-1]
    last.status, last.reason = "error", HOSTILE
    last.values = {HOSTILE: ValueResult(kind="change", unit=HOSTILE, estimate=0.5, reason=HOSTILE)}
    last.details = {HOSTILE: float("nan")}
    results.verdict.because = HOSTILE
    variant.verdict.because = HOSTILE
    return results
