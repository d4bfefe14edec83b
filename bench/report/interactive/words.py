"""The longer sentences that the page's scripts show."""

from __future__ import annotations

from typing import Final

WORDS: Final[dict[str, str | list[str]]] = {
    "change": (
        "Change: how different the answers of both networks are on the same samples. 0: the same. Its "
        "gap is the same on the yardsticks' scale: 0 the same function, 1 as different as a yardstick."
    ),
    "quality": (
        "Harm: how much worse the variant's own figure is than the reference's, on the same samples; + is worse."
    ),
    "pair": "Harm: how much worse the pair of reference and variant is; + is worse.",
    "bound": (
        "Bound: the interval in which the true ratio to the reference lies; no sampling interval. ≥ was "
        "found, ≤ is proved."
    ),
    "cost": "Cost: variant over reference.",
    "lower": "lower is better",
    "higher": "higher is better",
    "none": "neither direction is better",
    "brackets": (
        "Brackets are 95 % intervals on these samples. – means that there is no figure; the reason "
        "stands in the details."
    ),
    "stages": (
        "Each bar leads from the total before the stage to the total after it, on the same samples, away "
        "from the reference as it runs on torch (an ONNX reference: not optimised). Bars to the left "
        "lead back. The thin line is the 95 % interval of the total; the figure is what the stage adds, "
        "with its paired interval; ● adds most."
    ),
    "maps": (
        "The image, the reference’s map, the variant’s map, and the second less the first. Red speaks "
        "for the class, blue against it."
    ),
    "inputs": (
        "The image, what was found of it where it was changed, and the second less the first in full "
        "colour where it is largest. Red is brighter, blue darker."
    ),
    "reference": "The reference of its run: own figures stand on the board.",
    "unknown": "The link names a network that this page does not hold.",
    "apart": "these figures stand side by side for reading, and cannot be ranked.",
    "apart_head": "Other data, another number of samples or another kind of processor: ",
    "neighbours": (
        "Variants of one target are paired, by what their families show first; a page of very many variants keeps "
        "neighbours only, results.json all. crbench diff tells of any two files."
    ),
    "unpaired": (
        "These rows of two runs are not paired: crbench report pairs each network with itself in another run, where "
        "arrays.npz lies beside both results, and keeps 2,000 such sentences. Whether two intervals overlap says "
        "little of which is better."
    ),
    "harm": "harm: + is worse",
    "harm_change": "change: 0 = same",
    "harm_cost": "variant / reference",
    "harm_bound": "variant / reference",
    "gap": "gap: 0 = same, 1 = a yardstick",
    "heads": [
        "value",
        "reference",
        "variant",
        "yardsticks",
        "change, harm or ratio",
        "gap",
        "seed ratio",
        "p",
        "floor",
        "gates and remarks",
    ],
    "empty": "Nothing was measured for this choice.",
}
