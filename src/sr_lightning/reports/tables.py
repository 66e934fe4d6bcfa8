"""Tables of a report, once for all formats: their cells are text, and each format marks and escapes them its way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sr_lightning.reports.sections import Method, Section
from sr_lightning.reports.statistics import holm, mean_interval, sign_flip_test

NAMES = {"psnr": "PSNR (dB)", "ssim": "SSIM"}
DIGITS = {"psnr": 3}
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


def number(value: float, metric: str, sign: bool = False) -> str:
    """A score with the digits that its field prints.

    Example:
        >>> number(37.99604, "psnr"), number(0.00012, "ssim", sign=True), number(math.inf, "psnr")
        ('37.996', '+0.0001', '∞')
    """
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:{'+' if sign else ''}.{DIGITS.get(metric, 4)}f}".replace("-", MINUS)


def quantity(value: float) -> str:
    """A count in thousands, millions or thousands of millions.

    Example:
        >>> quantity(694_404), quantity(159.6e9), quantity(0)
        ('694 K', '160 G', '0')
    """
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{float(f'{value / size:.3g}'):g} {unit}"
    return f"{value:.0f}"


def score_table(section: Section, metrics: Sequence[str]) -> Table:
    """Means of every method over every set, with 95 % confidence intervals."""
    pairs = [(s, m) for s in section.sets for m in metrics if any(x.scores(s, m) for x in section.methods)]
    means = {(s, m): {x.label: mean_interval([*x.scores(s, m).values()]) for x in section.methods} for s, m in pairs}
    columns = ["model", *(f"{s} {NAMES.get(m, m)}" for s, m in pairs), "parameters", "MACs (720p)"]
    rows = []
    for method in section.methods:
        run = method.runs[0]
        row = [Cell(method.label)]
        for s, m in pairs:
            mean, half = means[s, m][method.label]
            ranked = sorted({number(v, m): v for v, _ in means[s, m].values() if not math.isnan(v)}.values())[::-1]
            printed = [number(value, m) for value in ranked]
            rank = printed.index(number(mean, m)) + 1 if number(mean, m) in printed and len(printed) > 1 else 0
            row.append(Cell(number(mean, m), _remark(method, s, m, mean, half), rank if rank < 3 else 0))
        rows.append([*row, Cell(quantity(run.parameters)), Cell(quantity(run.macs))])
    return Table(f"Protocol {section.title}: means over pictures", columns, rows)


def _remark(method: Method, set_name: str, metric: str, mean: float, half: float) -> str:
    """Interval over pictures, and spread over runs where there are several."""
    parts = []
    if not math.isnan(half):
        high = min(mean + half, 1.0) if metric == "ssim" else mean + half  # SSIM cannot be larger
        parts.append(f"[{number(mean - half, metric)}, {number(high, metric)}]")
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
    present = {label: mean_interval([*values.values()])[0] for label, values in scores.items() if values}
    labels = sorted(present, key=lambda label: (-present[label] if present[label] == present[label] else 0, label))
    if len(labels) < 2:
        return None
    differences = {(a, b): _differences(scores[a], scores[b]) for a, b in combinations(labels, 2)}
    p_values = dict(zip(differences, holm([sign_flip_test(d) for d in differences.values()]), strict=True))

    def cell(a: str, b: str) -> Cell:
        if (a, b) not in differences:
            return Cell("")
        (mean, half), p = mean_interval(differences[a, b]), p_values[a, b]
        if math.isnan(p):
            return Cell(DASH, "no common pictures")
        spread = "" if math.isnan(half) else f" ± {number(half, metric)}"
        count = len(differences[a, b])
        fewer = f", {count} pictures" if count < max(len(scores[a]), len(scores[b])) else ""
        shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        return Cell(f"{number(mean, metric, sign=True)}{spread}", shown + fewer, 1 if p < 0.05 else 0)

    rows = [[Cell(a), *(cell(a, b) for b in labels[1:])] for a in labels[:-1]]
    count = max(map(len, scores.values()))
    caption = f"Protocol {section.title}, {set_name}, {NAMES.get(metric, metric)}: row minus column, {count} pictures"
    return Table(caption, ["", *labels[1:]], rows)


def _differences(a: dict[str, float], b: dict[str, float]) -> list[float]:
    """Differences on the pictures that both have a finite score of."""
    return [a[name] - b[name] for name in sorted(a.keys() & b.keys()) if math.isfinite(a[name] - b[name])]


def power(section: Section, set_name: str, metric: str) -> str:
    """A sentence if a set is too small for any difference to be significant."""
    counts = [len(scores) for m in section.methods if (scores := m.scores(set_name, metric))]
    pairs = len(counts) * (len(counts) - 1) // 2
    smallest = pairs * 2.0 ** (1 - max(counts, default=0))
    if pairs == 0 or smallest <= 0.05:
        return ""
    of = f"{many(max(counts), 'picture')} and {many(pairs, 'pair')}"
    return (
        f"With {of}, the smallest p starts at {min(1.0, smallest):.3g}: no difference on {set_name} can be significant."
    )


def many(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
