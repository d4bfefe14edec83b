"""Identified exemplars in words: how many, what they are, which classes lose most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import ClassHarm, ExemplarsResult, MeanAccuracies
from bench.wording import NOTHING, fixed, plain, significant

HEADING = "Samples that many networks answer otherwise after compression"
NOTE = (
    "identified exemplars: the modal label over the variants is another one than over the references they are made of;"
    " a tie is no modal label; what retraining alone would do is an estimate; in brackets how many networks agree"
)
SURE = 0.05


@dataclass(frozen=True)
class ClassText:
    """One class as a row."""

    label: str
    n: int
    reference: str
    variant: str
    harm: str
    p_adjusted: str
    sure: bool


@dataclass(frozen=True)
class PictureText:
    """One exemplar."""

    caption: str
    picture: str  # PNG in base64; empty: none


@dataclass(frozen=True)
class ExemplarsText:
    """The exemplars of one variant on one target."""

    title: str
    place: str
    sentence: str
    accuracies: str
    classes: tuple[ClassText, ...]  # by falling harm
    worst: str  # the classes that surely lose more than the whole, in one sentence
    pictures: tuple[PictureText, ...]
    left_out: int  # exemplars that are not shown


def exemplars_texts(found: Sequence[ExemplarsResult]) -> list[ExemplarsText]:
    """Every population in words, those that were skipped with the reason."""
    return [_text(item) for item in found]


def percent(share: float | None) -> str:
    """A share in per cent.

    >>> percent(0.0333), percent(None)
    ('3.3 %', '–')
    """
    return NOTHING if share is None else f"{fixed(100 * share, 1)} %"


def probability(p: float) -> str:
    """A p-value to two digits.

    >>> probability(0.001953), probability(1.0)
    ('0.0020', '1.0')
    """
    return significant(p, 2)


def sentence(item: ExemplarsResult) -> str:
    """How many exemplars there are, beside what retraining alone would do.

    >>> fields = {"name": "e", "variant": "v", "target": "t", "networks": 10, "n": 400, "exemplars": 12, "share": 0.03}
    >>> scales = {"ci": (0.0156, 0.0518), "tied": 14, "by_retraining": 7.25, "p_value": 0.002}
    >>> for part in sentence(ExemplarsResult(**fields, **scales)).split("; "):
    ...     print(part)
    12 of 400 samples (3.0 % [1.6, 5.2]), retraining alone about 7.2
    14 without a modal label on a side
    test of any difference in votes p = 0.0020
    10 networks a side
    """
    if item.status != "ok" or item.exemplars is None:
        return f"{item.status}: {plain(item.reason)}"
    ends = "" if item.ci is None else f" [{', '.join(fixed(100 * end, 1) for end in item.ci)}]"
    parts = [f"{item.exemplars} of {item.n} samples ({percent(item.share)}{ends})"]
    parts[0] += "" if item.by_retraining is None else f", retraining alone about {fixed(item.by_retraining, 1)}"
    parts.append(f"{item.tied} without a modal label on a side")
    parts += [] if item.p_value is None else [f"test of any difference in votes p = {probability(item.p_value)}"]
    return "; ".join([*parts, f"{item.networks} networks a side"])


def _accuracies(item: ExemplarsResult) -> str:
    """Mean accuracies on exemplars and on the rest."""

    def one(where: str, part: MeanAccuracies | None) -> str:
        if part is None or part.reference is None:
            return ""
        return f"on {where} {percent(part.reference)} before, {percent(part.variant)} after"

    known = list(filter(None, (one("exemplars", item.on_exemplars), one("the rest", item.on_the_rest))))
    return f"mean accuracy {'; '.join(known)}" if known else plain(item.reason)


def _class(item: ClassHarm) -> ClassText:
    ends = "" if item.ci is None else f" [{', '.join(fixed(100 * end, 1) for end in item.ci)}]"
    harm = f"{'+' if item.harm > 0 else ''}{fixed(100 * item.harm, 1)}{ends}"
    return ClassText(
        plain(item.label), item.n, percent(item.reference), percent(item.variant), harm, probability(item.p_adjusted),
        item.p_adjusted < SURE,
    )  # fmt: skip


def _text(item: ExemplarsResult) -> ExemplarsText:
    ranked = sorted(item.classes, key=lambda each: -each.harm)
    classes = tuple(map(_class, ranked))
    worse = [text for text, each in zip(classes, ranked, strict=True) if text.sure and each.harm > 0]
    told = ", ".join(f"{text.label} ({text.harm} points, p = {text.p_adjusted})" for text in worse)
    pictures = tuple(
        PictureText(
            f"{plain(shown.sample)}{'' if shown.label is None else f', label {plain(shown.label)}'}: "
            f"{plain(shown.reference)} ({shown.reference_votes}) → {plain(shown.variant)} ({shown.variant_votes})",
            shown.picture,
        )
        for shown in item.shown
    )
    surely = f"recall surely falls more than accuracy: {told}" if told else ""
    return ExemplarsText(
        title=plain(item.variant),
        place=f"{plain(item.target)}, {plain(item.name)}",
        sentence=sentence(item),
        accuracies=_accuracies(item) if item.status == "ok" else "",
        classes=classes,
        worst=surely or ("in no class does recall surely fall more than accuracy" if classes else ""),
        pictures=pictures,
        left_out=(item.exemplars or 0) - len(pictures),
    )
