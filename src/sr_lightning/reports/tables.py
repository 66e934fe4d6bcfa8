"""Tables of a report, once for all formats: their cells are text, and each format marks and escapes them its way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sr_lightning.evaluation.scoring import human_number
from sr_lightning.reports.sections import Method, Section
from sr_lightning.reports.statistics import holm, mean_interval, sign_flip_test

NAMES = {
    "psnr": "PSNR (dB)", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lr_psnr": "LR-PSNR (dB)", "ifc": "IFC",
    "lpips": "LPIPS", "dists": "DISTS", "niqe": "NIQE",
}  # fmt: skip
#: Metrics of which less is better.
LOWER = ("lpips", "dists", "niqe")
#: Least and largest value of a metric; those without an entry have no limits.
RANGE = {
    "ssim": (-1.0, 1.0), "ms_ssim": (0.0, 1.0), "ifc": (0.0, math.inf), "lpips": (0.0, math.inf),
    "dists": (0.0, math.inf), "niqe": (0.0, math.inf),
}  # fmt: skip
DIGITS = {"psnr": 3, "lr_psnr": 3}
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """Text with a smaller remark below it, of one line or more; ``rank`` 1 is printed bold, 2 underlined."""

    text: str
    remark: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Table:
    """A caption, the names of the columns, and rows of as many cells."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]


def heading(metric: str) -> str:
    """A metric's name and whether higher or lower is better.

    Example:
        >>> heading("psnr"), heading("lpips")
        ('PSNR (dB) ↑', 'LPIPS ↓')
    """
    return f"{NAMES.get(metric, metric)} {'↓' if metric in LOWER else '↑'}"


def number(value: float, metric: str, sign: bool = False) -> str:
    """A score with the digits that its field prints.

    Example:
        >>> number(37.99604, "psnr"), number(0.00012, "ssim", sign=True), number(math.inf, "psnr")
        ('37.996', '+0.0001', '∞')
    """
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:{'+' if sign else ''}.{DIGITS.get(metric, 4)}f}".replace("-", MINUS)


def ranks(values: Sequence[float], metric: str) -> list[int]:
    """1 for the best value, 2 for the second, 0 for others, nan and what is printed alike by all.

    Example:
        >>> ranks([30.0, 31.0, math.nan, 31.0, 29.0], "psnr"), ranks([0.3, 0.2], "lpips")
        ([2, 1, 0, 1, 0], [2, 1])
    """
    ordered = sorted((v for v in values if not math.isnan(v)), reverse=metric not in LOWER)
    printed = list(dict.fromkeys(number(value, metric) for value in ordered))
    places = {text: i for i, text in enumerate(printed[:2], 1)} if len(printed) > 1 else {}
    return [places.get(number(value, metric), 0) for value in values]


def score_table(section: Section, metrics: Sequence[str]) -> Table:
    """Means of every method over every set, with 95 % confidence intervals."""
    pairs = [(s, m) for s in section.sets for m in metrics if any(x.scores(s, m) for x in section.methods)]
    columns = ["model", *(f"{s} {heading(m)}" for s, m in pairs), "parameters", "MACs (720p)"]
    cells = [_column(section.methods, s, m) for s, m in pairs]
    rows = [
        [
            Cell(x.label),
            *(column[i] for column in cells),
            Cell(human_number(run.parameters)),
            Cell(human_number(run.macs)),
        ]
        for i, x in enumerate(section.methods)
        for run in x.runs[:1]
    ]
    return Table(f"Protocol {section.title}: means over pictures", columns, rows)


def _column(methods: Sequence[Method], set_name: str, metric: str) -> list[Cell]:
    """One metric on one set."""
    means = [method.interval(set_name, metric) for method in methods]
    places = ranks([mean for mean, _ in means], metric)
    return [
        Cell(number(mean, metric), _remark(method, set_name, metric, mean, half), rank)
        if method.scores(set_name, metric)
        else Cell(DASH)
        for method, (mean, half), rank in zip(methods, means, places, strict=True)
    ]


def _remark(method: Method, set_name: str, metric: str, mean: float, half: float) -> str:
    """Interval over pictures, those it leaves out, and spread over runs where there are several."""
    parts = []
    if not math.isnan(half):
        least, largest = RANGE.get(metric, (-math.inf, math.inf))
        low, high = max(mean - half, least), min(mean + half, largest)
        parts.append(f"[{number(low, metric)}, {number(high, metric)}]")
    perfect = [*method.scores(set_name, metric).values()].count(math.inf)
    if perfect and math.isfinite(mean):
        parts.append(f"without {counted_noun(perfect, 'perfect picture')}")
    runs = method.means(set_name, metric)
    if len(runs) > 1 and all(map(math.isfinite, runs)):
        centre = sum(runs) / len(runs)
        spread = math.sqrt(sum((value - centre) ** 2 for value in runs) / (len(runs) - 1))
        parts.append(f"± {number(spread, metric)} over {len(runs)} runs")
    return "\n".join(parts)


def paired_table(section: Section, set_name: str, metric: str) -> Table | None:
    """Mean differences of each pair of methods on the same pictures; None if there is no pair.

    A cell is the row's method minus the column's, with the half-width of the 95 % interval and the corrected p-value.
    """
    scores = {m.label: m.scores(set_name, metric) for m in section.methods}
    present = {m.label: m.interval(set_name, metric)[0] for m in section.methods if scores[m.label]}
    better = 1 if metric in LOWER else -1
    labels = sorted(present, key=lambda x: (math.inf if math.isnan(present[x]) else better * present[x], x))
    if len(labels) < 2:
        return None
    differences = {(a, b): _differences(scores[a], scores[b]) for a, b in combinations(labels, 2)}
    p_values = dict(zip(differences, holm([sign_flip_test(d) for d in differences.values()]), strict=True))

    def cell(a: str, b: str) -> Cell:
        if (a, b) not in differences:
            return Cell("")
        (mean, half), p = mean_interval(differences[a, b]), p_values[a, b]
        if math.isnan(p):
            return Cell(DASH, "nan in common" if differences[a, b] else "no scores in common")
        spread = "" if math.isnan(half) else f" ± {number(half, metric)}"
        count = len(differences[a, b])
        fewer = f", {count} pictures" if count < max(len(scores[a]), len(scores[b])) else ""
        shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        return Cell(f"{number(mean, metric, sign=True)}{spread}", shown + fewer, 1 if p < 0.05 else 0)

    rows = [[Cell(a), *(cell(a, b) for b in labels[1:])] for a in labels[:-1]]
    count = max(map(len, scores.values()))
    sign = "negative" if metric in LOWER else "positive"
    return Table(
        f"Protocol {section.title}, {set_name}, {heading(metric)}: row minus column, {sign} where the row is better, "
        f"{counted_noun(count, 'picture')}",
        ["", *labels[1:]],
        rows,
    )


def _differences(a: dict[str, float], b: dict[str, float]) -> list[float]:
    """Differences on the pictures that both have, but for those that one of them has without any error."""
    return [a[name] - b[name] for name in sorted(a.keys() & b.keys()) if math.inf not in (a[name], b[name])]


def power_note(section: Section, set_name: str, metric: str) -> str:
    """A sentence if a set is too small for any difference to be significant."""
    finite = (sum(map(math.isfinite, m.scores(set_name, metric).values())) for m in section.methods)
    counts = [count for count in finite if count]
    pairs = len(counts) * (len(counts) - 1) // 2
    smallest = pairs * 2.0 ** (1 - max(counts, default=0))
    if pairs == 0 or smallest <= 0.05:
        return ""
    of = f"{counted_noun(max(counts), 'picture')} and {counted_noun(pairs, 'pair')}"
    return (
        f"With {of}, the smallest p starts at {min(1.0, smallest):.3g}: no difference on {set_name} can be significant."
    )


def counted_noun(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
