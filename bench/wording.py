"""Numbers and names in words: the one module in which a figure becomes text, for verdicts and every report."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from bench.cell_id import canonical_parameters
from bench.results import ValueResult

Limits: TypeAlias = tuple[float | None, float | None]

PROPORTIONS = frozenset({"proportion", "fraction", "probability", "rate", "share"})
NOTHING = "–"
TITLES = {
    "augrc": "AUGRC",
    "aurc": "AURC",
    "auroc": "AUROC",
    "brier": "Brier score",
    "calibrated_nll": "calibrated NLL",
    "ce2_debiased": "debiased CE²",
    "e_aurc": "E-AURC",
    "ece": "ECE",
    "ece_classwise": "classwise ECE",
    "ece_equal_mass": "equal-mass ECE",
    "js": "Jensen-Shannon divergence",
    "js_tempered": "tempered Jensen-Shannon divergence",
    "kl": "KL divergence",
    "macs": "MACs",
    "nll": "NLL",
    "risk_at_80": "risk at 80 % coverage",
    "shifted_ce2": "shifted CE²",
    "smooth_ece": "smooth ECE",
    "spearman_distance": "Spearman distance",
    "ssim_distance": "SSIM distance",
    "top_10_jaccard_distance": "top 10 % Jaccard distance",
    "top_1_jaccard_distance": "top 1 % Jaccard distance",
    "top_5_jaccard_distance": "top 5 % Jaccard distance",
}
ABBREVIATIONS = frozenset({"aps", "augrc", "aupr", "aurc", "auroc", "ece", "fpr95", "lac", "mcp", "nll"})
SUMMARIES = {"_worst_5": ", worst 5 %", "_worst_class": ", worst class"}
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
canonical = canonical_parameters
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def plain(text: object) -> str:
    r"""One printable line: control, direction and line-break characters become spaces, runs of them one.

    >>> plain("a\n\x1b[31mb\u202e")
    'a [31mb'
    """
    shown = str(text)
    if shown.isascii() and shown.isprintable():  # most are
        return " ".join(shown.split())
    visible = (" " if unicodedata.category(c) in HIDDEN or c.isspace() else c for c in shown)
    return " ".join("".join(visible).split())


def title(name: str) -> str:
    """A value's name in words.

    >>> title("robust_error"), title("ece"), title("js_worst_5")
    ('robust error', 'ECE', 'Jensen-Shannon divergence, worst 5 %')
    >>> title("lac_set_size_kept"), title("mcp_fpr95"), title("shifted_nll")
    ('LAC set size kept', 'MCP FPR95', 'shifted NLL')
    """
    for ending, words in SUMMARIES.items():
        if name != ending and name.endswith(ending):
            return title(name.removesuffix(ending)) + words
    parts = (word.upper() if word in ABBREVIATIONS else word for word in name.split("_"))
    return TITLES.get(name, plain(" ".join(parts).replace("jacobian", "Jacobian")))


def place_words(target: str, replicate: int | None, *, several: bool) -> str:
    """A target, and the replicate where there are several.

    >>> place_words("edge", 0, several=False), [place_words("edge", which, several=True) for which in (2, None)]
    ('edge', ['edge, replicate 2', 'edge, all replicates'])
    """
    if not several:
        return plain(target)
    return f"{plain(target)}, {'all replicates' if replicate is None else f'replicate {replicate}'}"


def decimals(width: float) -> int:
    """The number of decimals that an interval of this width justifies: two digits of the width, at most six.

    >>> decimals(5.8), decimals(0.58), decimals(120.0)
    (1, 2, 0)
    """
    if not math.isfinite(width) or width <= 0:
        return 6
    return min(6, max(0, 1 - math.floor(math.log10(width))))


def _scientific(number: float, digits: int) -> str:
    mantissa, _, exponent = f"{number:.{digits - 1}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def significant(number: float, digits: int = 3) -> str:
    """A number to so many significant digits; scientific below 0.001 and from 100,000 on.

    >>> significant(0.12345), significant(0.0000312), significant(1234.5), significant(0.99996)
    ('0.123', '3.12e-5', '1234', '1.00')
    """
    if not math.isfinite(number):
        return NOTHING
    if number == 0:
        return "0"
    text = _scientific(number, digits)  # rounded first: 0.9996 has one digit before the point
    exponent = int(text.partition("e")[2])
    if exponent < -3 or exponent >= 5:
        return text
    return f"{float(text):.{max(0, digits - 1 - exponent)}f}" if exponent < digits else f"{number:.0f}"


def fixed(number: float, places: int) -> str:
    """A number to so many decimals, without a negative zero.

    >>> fixed(-0.04, 1), fixed(6.05, 2)
    ('0.0', '6.05')
    """
    text = f"{number:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text


def limit(number: float, side: Literal["upper", "lower"], digits: int = 2) -> str:
    """A one-sided limit, rounded away from the claim, so that the text never says more than the number.

    >>> limit(0.0183, "upper"), limit(0.0183, "lower"), limit(0.0, "upper")
    ('≤ 0.019', '≥ 0.018', '≤ 0')
    """
    sign = "≤" if side == "upper" else "≥"
    if number == 0:
        return f"{sign} 0"
    step = 10.0 ** (math.floor(math.log10(abs(number))) - digits + 1)
    towards = math.ceil if side == "upper" else math.floor
    # 1e-9 steps: a number that stands on a step, but for binary rounding, stays on it
    slack = -1e-9 if side == "upper" else 1e-9
    return f"{sign} {significant(towards(number / step + slack) * step, digits)}"


def with_interval(number: float, limits: Limits | None, *, signed: bool = False, suffix: str = "") -> tuple[str, str]:
    """A number and its interval as two texts that share their digits: as many as the interval's width justifies.

    >>> with_interval(6.13, (3.24, 9.01), signed=True, suffix=" points")
    ('+6.1 points', '[3.2, 9.0]')
    >>> with_interval(0.1234, None), with_interval(0.0, (0.0, 0.0))
    (('0.12', ''), ('0', '[0, 0]'))
    >>> with_interval(0.107, (0.0129, 144.5))  # without 0
    ('0.11', '[0.013, 144]')
    """
    sign = "+" if signed and number > 0 else ""
    low, high = limits or (None, None)
    if low is None or high is None:
        bound = limit(high, "upper") if high is not None else limit(low, "lower") if low is not None else ""
        return f"{sign}{significant(number, 2)}{suffix}", bound
    if 0 < max(abs(number), abs(low), abs(high)) < 1e-3:
        parts = [significant(part, 2) for part in (number, low, high)]
    elif low == high:
        parts = [significant(part) for part in (number, low, high)]
    else:
        places = decimals(high - low)
        parts = [fixed(part, places) for part in (number, low, high)]
        if low * high > 0 and 0 in (float(parts[1]), float(parts[2])):  # an interval without 0 must not seem to hold it
            parts = [significant(part, 2) for part in (number, low, high)]
    if float(parts[0]) == 0:
        sign = ""
    return f"{sign}{parts[0]}{suffix}", f"[{parts[1]}, {parts[2]}]"


def gap_with_interval(number: float | None, limits: Limits | None) -> tuple[str, str]:
    """A gap and its interval; an upper limit in the place of both where only that is known; nothing where none is.

    Two decimals, the resolution at which a gap means something to a reader; two digits below 0.05, three from 10 on.

    >>> gap_with_interval(0.4234, (0.301, 1.12)), gap_with_interval(0.0248, (0.022, 0.0279))
    (('0.42', '[0.30, 1.12]'), ('0.025', '[0.022, 0.028]'))
    >>> gap_with_interval(None, (None, 0.0183)), gap_with_interval(None, (None, 0.0))
    (('≤ 0.019', ''), ('0', ''))
    """
    low, high = limits or (None, None)
    if low is None and high is not None:
        return ("0" if high == 0 else limit(high, "upper")), ""
    if number is None:
        return NOTHING, ""

    def shown(gap: float) -> str:
        return fixed(gap, 2) if 0.05 <= number < 10 else significant(gap, 2 if number < 0.05 else 3)

    return shown(number), "" if low is None or high is None else f"[{shown(low)}, {shown(high)}]"


def is_proportion(value: ValueResult) -> bool:
    """Whether the value is a share of samples: by its unit, or because its interval is one for counts."""
    return value.unit in PROPORTIONS or value.interval in ("score", "exact")


def scaled(limits: Limits | None, factor: float) -> Limits | None:
    """Both ends of an interval times a factor."""
    if limits is None:
        return None
    low, high = limits
    return (None if low is None else low * factor, None if high is None else high * factor)


def difference(value: ValueResult, number: float, limits: Limits | None) -> tuple[str, str]:
    """An estimate on a value's own scale: harms signed, of proportions in points; changes of proportions in %.

    >>> harm = ValueResult(kind="quality", interval="score")
    >>> difference(harm, 0.061, (0.032, 0.09))
    ('+6.1 points', '[3.2, 9.0]')
    """
    harm = value.kind in ("quality", "pair")
    factor = 100 if is_proportion(value) else 1
    unit = difference_unit(value)
    return with_interval(number * factor, scaled(limits, factor), signed=harm, suffix=f" {unit}" if unit else "")


def difference_unit(value: ValueResult) -> str:
    """The unit in which ``difference`` shows a value.

    >>> difference_unit(ValueResult(kind="quality", unit="proportion")), difference_unit(ValueResult(kind="change"))
    ('points', '')
    """
    if is_proportion(value):
        return "points" if value.kind in ("quality", "pair") else "%"
    return plain(value.unit)


def tolerance(value: ValueResult, number: float) -> str:
    """A tolerance in the same unit as ``difference`` shows.

    >>> tolerance(ValueResult(kind="quality", unit="proportion"), 0.03)
    '3'
    """
    return f"{number * 100 if is_proportion(value) else number:.6g}"


def _steps_of(number: float, table: tuple[tuple[float, str], ...], unit: str) -> str:
    for step, name in table:
        if abs(number) >= step:
            return f"{significant(number / step)} {name}"
    return f"{number:g}{unit}"


def is_resampled_harm(value: ValueResult) -> bool:
    """Whether a value is a harm with a bootstrap interval: what few samples weaken."""
    return value.kind in ("quality", "pair") and value.interval == "bootstrap"


def coverage_words(n: int) -> str:
    """A note on intervals of resampled harms (NLL, Brier and their like) with few samples; empty for many.

    Seen in 25 variants of ResNet-8 on Fashion-MNIST, 300 draws of n images each: docs/design/statistics.md.

    >>> coverage_words(200), coverage_words(500)
    ('with n = 200, 95 % intervals of resampled harms cover some 94 %', '')
    """
    for fewest, share in ((500, ""), (200, "94"), (100, "93"), (50, "91")):
        if n >= fewest:
            return f"with n = {n}, 95 % intervals of resampled harms cover some {share} %" if share else ""
    return f"with n = {n}, 95 % intervals of resampled harms cover less than 91 %"


def own(value: ValueResult, number: float) -> str:
    """A network's own figure with its unit.

    >>> own(ValueResult(kind="quality", unit="proportion"), 0.972)
    '97.2 %'
    >>> own(ValueResult(kind="cost", unit="bytes"), 41234.0)
    '41.2 kB'
    """
    if is_proportion(value):
        return f"{fixed(100 * number, 1)} %"
    if value.unit in ("bytes", "byte", "B"):
        return _steps_of(number, BYTES, " B")
    if value.kind == "cost" and number == int(number) and abs(number) >= 1000:
        count = _steps_of(number, COUNTS, "")
        return f"{count} {plain(value.unit)}" if value.unit else count
    return f"{significant(number)} {plain(value.unit)}" if value.unit else significant(number)


def own_with_interval(value: ValueResult, number: float, limits: Limits | None) -> tuple[str, str]:
    """A network's own figure with its unit, and its interval in the same unit and digits.

    >>> own_with_interval(ValueResult(kind="quality", unit="proportion"), 0.972, (0.958, 0.984))
    ('97.2 %', '[95.8, 98.4]')
    >>> own_with_interval(ValueResult(kind="quality", unit="nats"), 0.0512, (0.0386, 0.0739))
    ('0.051 nats', '[0.039, 0.074]')
    """
    if limits is None or limits == (None, None):
        return own(value, number), ""
    share = is_proportion(value)
    unit, factor = "%" if share else plain(value.unit), 100 if share else 1
    return with_interval(number * factor, scaled(limits, factor), suffix=f" {unit}" if unit else "")


def told_apart(uses: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[tuple[str, str], str]:
    """The parameters by which each (metric, parameters) differs from its like, in words; else nothing.

    >>> told_apart([("pgd", {"epsilon": 0.1, "steps": 20}), ("pgd", {"epsilon": 0.05, "steps": 20}), ("ig", {})])
    {('pgd', '{"epsilon":0.1,"steps":20}'): 'epsilon 0.1', \
('pgd', '{"epsilon":0.05,"steps":20}'): 'epsilon 0.05', ('ig', '{}'): ''}
    """
    known = {(metric, canonical(params)): params for metric, params in uses}
    differing = differing_parameters((metric, params) for (metric, _), params in known.items())
    return {use: parameters_in_words((key, known[use].get(key)) for key in keys) for use, keys in differing.items()}


def differing_parameters(uses: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The names of the parameters by which each (metric, parameters) differs from its like."""
    known = {(metric, canonical(params)): params for metric, params in uses}
    names = {}
    for metric, text in known:
        peers = [other for (name, _), other in known.items() if name == metric]
        keys = sorted({key for peer in peers for key in peer})
        names[metric, text] = tuple(k for k in keys if len({canonical({"": peer.get(k)}) for peer in peers}) > 1)
    return names


def parameters_in_words(given: Iterable[tuple[str, Any]]) -> str:
    """Names and values of parameters.

    >>> parameters_in_words([("epsilon", 0.1), ("random_start", True)])
    'epsilon 0.1, random start True'
    """
    return ", ".join(f"{title(name)} {plain(value)}" for name, value in given)
