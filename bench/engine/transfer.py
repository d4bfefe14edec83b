"""The transfer matrix: what share of one network's adversarial inputs fools another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.engine.asked import NoAnswer, answer_of
from bench.engine.inline import InlineEngine
from bench.engine.observed import Observed
from bench.engine.over_networks import measured
from bench.results import TransferNetwork, TransferResult, TransferShare
from bench.stats.proportions import clopper_pearson
from bench.suite.plan import PlannedObservation
from bench.suite.transfers import PlannedTransfer

NOT_BOTH = "no sample that both get right"


def transfer_of(engine: InlineEngine, items: Sequence[PlannedTransfer]) -> list[TransferResult]:
    """Every matrix."""
    results = []
    for item in items:
        names = {"name": item.section.name, "samples": item.count}
        results.append(measured(engine, item, TransferResult.model_validate(names), _derive))
    return results


def _derive(engine: InlineEngine, planned: PlannedTransfer, blank: TransferResult) -> TransferResult:
    """Row by row: the inputs of one network, then every network's verdict on them."""
    networks, matrix, faults = [], [], []
    attacked = "labels"
    for member, inputs, row in zip(planned.members, planned.inputs, planned.judged, strict=True):
        network = TransferNetwork(role=member.role, name=member.name, target=member.target.name)
        try:
            made = answer_of(engine, inputs)
        except NoAnswer as error:
            network = network.model_copy(update={"status": error.status, "reason": str(error)})
            matrix.append([TransferShare(reason="no inputs were made") for _ in row])
            faults += [str(error)] if error.status == "error" else []
        else:
            network.gradient, attacked = made.notes.get("gradient"), made.notes["attacked"]
            shares = [_share(engine, made, item) for item in row]
            matrix.append([share for share, _ in shares])
            faults += [fault for _, fault in shares if fault]
        networks.append(network)
    known = any(share.share is not None for row in matrix for share in row)
    status = "error" if faults else "ok" if known else "skipped"
    reason = faults[0] if faults else "" if known else next((item.reason for item in networks if item.reason), NOT_BOTH)
    attack = {**_options(planned), "attacked": attacked}
    figures = {"status": status, "reason": reason, "attack": attack, "networks": networks, "matrix": matrix}
    return blank.model_copy(update=figures)


def _options(planned: PlannedTransfer) -> dict[str, Any]:
    """The declared attack, as it is told."""
    options = planned.section.inputs
    return {
        "attacks": list(options.attacks), "norm": options.norm, "epsilon": options.epsilon,
        "pixel_grid": options.pixel_grid,
    }  # fmt: skip


def _share(engine: InlineEngine, made: Observed, planned: PlannedObservation) -> tuple[TransferShare, str]:
    """One network's verdict on another's inputs, and the fault where it has none."""
    try:
        judged = answer_of(engine, planned)
    except NoAnswer as error:
        return TransferShare(reason=str(error)), str(error) if error.status == "error" else ""
    both = made.arrays["clean_correct"].astype(bool) & judged.arrays["clean_correct"].astype(bool)
    n = int(both.sum())
    if not n:
        return TransferShare(reason=NOT_BOTH), ""
    fooled = int(np.count_nonzero(judged.arrays["transfer_correct"][both] == 0))
    low, high, _ = clopper_pearson(fooled, n)
    assert low is not None
    assert high is not None
    return TransferShare(n=n, fooled=fooled, share=fooled / n, ci=(low, high)), ""
