"""Distributes the shift of a folded BatchNorm over the values it changes: sums add shifts, zero padding allows none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.batch_norm_folding.condition import Obstacle, Reach
from bench.batch_norm_folding.structure import FoldingGraph, FoldingNode, Role

Vector = NDArray[np.float64]
Coefficients = dict[str, Vector]  # a root's name -> how much of its shift each channel of a value carries
SOLVED = 1e-9


def shifts(graph: FoldingGraph, reached: Reach, shift: Vector) -> dict[str, Vector]:
    """The shift of each channel of each value that a fold changes.

    Each root r may carry a share ``x_r`` of the BatchNorm's shift t_k of channel k. Values further on carry
    ``sum_r a_vr x_r t_k``. Demanded are t_k on the BatchNorm's own side and 0 before zero padding: a small linear
    system for each channel, solved by least norm, and the same for most channels. Where t_k is 0 there is nothing to
    deal out.

    Args:
        graph: the network.
        reached: the values, roots and leaves.
        shift: (channels,) of the BatchNorm.

    Raises:
        Obstacle: zero padding is in the way of a shift.
    """
    carried = _carried(graph, reached)
    names = list(dict.fromkeys(name for held in carried.values() for name in held))
    rows = _demands(graph, reached, carried, names)
    shares = np.zeros((len(shift), len(names)))
    solved: dict[bytes, Vector] = {}
    for channel, demands in enumerate(rows):
        if shift[channel] == 0:
            continue
        matrix = np.array([row for row, _, _ in demands])
        key = matrix.tobytes() + bytes(value for _, value, _ in demands)
        if key not in solved:
            solved[key] = _solve(matrix, demands)
        shares[channel] = solved[key]
    made = {}
    for value, source in reached.source.items():
        total = np.zeros(len(source))
        for index, name in enumerate(names):
            if name in carried[value]:
                total += carried[value][name] * np.where(source >= 0, (shares[:, index] * shift)[source], 0.0)
        made[value] = total
    made[reached.pinned] = shift[reached.source[reached.pinned]]  # without the solver's rounding
    return made


def _solve(matrix: Vector, demands: list[tuple[Vector, int, str]]) -> Vector:
    wanted = np.array([float(value) for _, value, _ in demands])
    share: Vector = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    if np.abs(matrix @ share - wanted).max() > SOLVED:
        padded = next(label for _, value, label in demands if value == 0)
        raise Obstacle(f"its shift would change the zeros that pad {padded}")
    share[np.abs(share) < SOLVED] = 0.0
    return np.asarray(share.round(12), dtype=np.float64)


def _carried(graph: FoldingGraph, reached: Reach) -> dict[str, Coefficients]:
    """The roots' shifts that each value carries, with their factors, along the order of the nodes."""
    roots = {node.name for node in reached.roots}
    if reached.direction == "forward":
        roots.add(reached.norm.name)
    carried: dict[str, Coefficients] = {}
    for node in graph.nodes:
        for output in node.outputs:
            if output not in reached.source:
                continue
            touched = reached.source[output] >= 0
            if node.name in roots:
                used = reached.source[output][touched]
                if len(set(used.tolist())) != len(used):
                    raise Obstacle(f"two channels of {node.label} share a channel of it")
                carried[output] = {node.name: touched.astype(np.float64)}
            else:
                carried[output] = _passed_on(graph, node, carried)
    return carried


def _passed_on(graph: FoldingGraph, node: FoldingNode, carried: dict[str, Coefficients]) -> Coefficients:
    total: Coefficients = {}
    size = graph.channels[node.outputs[0]]
    start = 0
    for value in node.inputs:
        width = graph.channels[value]
        for name, factors in carried.get(value, {}).items():
            held = total.setdefault(name, np.zeros(size))
            if node.role is Role.CONCAT:
                held[start : start + width] += factors
            else:
                held += np.repeat(factors, node.repeat)
        start += width
    return total


def _demands(
    graph: FoldingGraph, reached: Reach, carried: dict[str, Coefficients], names: list[str]
) -> list[list[tuple[Vector, int, str]]]:
    """The rows of the system, their right-hand sides and who asks, for each channel of the BatchNorm."""
    count = graph.channels[reached.pinned]
    rows: list[dict[tuple[bytes, int], tuple[Vector, int, str]]] = [{} for _ in range(count)]

    def demand(value: str, wanted: int, label: str) -> None:
        source = reached.source[value]
        zeros = np.zeros(len(source))
        table = np.stack([carried[value].get(name, zeros) for name in names], axis=1)
        for channel, row in zip(source.tolist(), table, strict=True):
            if channel >= 0:
                rows[channel].setdefault((row.tobytes(), wanted), (row, wanted, label))

    demand(reached.pinned, 1, reached.norm.label)
    for value in reached.source:
        for node in graph.consumers.get(value, ()):
            if node.zero_padded and node.name != reached.norm.name:
                demand(value, 0, node.label)
    return [list(channel.values()) for channel in rows]
