"""The report as one HTML page that needs nothing but itself: no scripts, no fonts, no other files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from sr_lightning.reports.charts import learning_curves, run_label, tradeoffs
from sr_lightning.reports.figure import Figure
from sr_lightning.reports.sections import Section
from sr_lightning.reports.tables import Cell, Table, counted_noun, number, paired_table, power_note, ranks, score_table
from sr_lightning.version import __version__

#: How the numbers came about; every format of the report says so.
METHOD = (
    "Each score is a mean over pictures. The brackets hold its 95 % t interval: how far the mean would move with other "
    "pictures. An interval ends where the metric's range ends. ± gives the standard deviation over runs, where a model "
    "has several. ↑ marks metrics where higher is better, ↓ those where lower is better. Bold is best, underlined "
    "second. PSNR is of whole pictures. A picture without any error has an infinite PSNR: it is left out of means, and "
    "∞ is the mean of such pictures alone. nan is no number, as from a network that diverged."
)
PAIRS = (
    "Each cell is the mean difference on the same pictures, the row's model minus the column's, ± half its 95 % t "
    "interval, for each pair separately. p is that of the two-sided sign-flip permutation test (all sign patterns up "
    "to 16 pictures, 65,536 random ones beyond), corrected for the number of pairs by Holm's method. Bold means p < "
    "0.05. Pictures whose score is infinite or nan are left out of pairs."
)
_HERE = Path(__file__).parent


def page(
    title: str,
    sections: Sequence[Section],
    figures: dict[int, list[Figure]],
    metrics: Sequence[str],
    skipped: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The whole page.

    Args:
        title: Its heading.
        sections: In their order.
        figures: Comparison figures by the index of their section.
        metrics: Which metrics the tables show.
        skipped: A sentence for each result file that could not be used.
        notes: What else the reader should know.
    """
    templates = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.filters["zip"] = lambda one, other: zip(one, other, strict=True)
    runs = len({run.folder for section in sections for method in section.methods for run in method.runs})
    return templates.get_template("page.html").render(
        title=title,
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        count=f"{counted_noun(runs, 'run')}, {counted_noun(len(sections), 'combination')}",
        sections=[_parts(section, figures.get(i, []), metrics) for i, section in enumerate(sections)],
        panel_scores=_panel_scores,
        skipped=skipped,
        notes=notes,
        method=METHOD,
        paired=PAIRS,
        version=__version__,
    )


def _parts(section: Section, figures: Sequence[Figure], metrics: Sequence[str]) -> dict[str, Any]:
    """What the template shows of a section."""
    shown = [metric for metric in section.metrics if metric in metrics]
    pairs = [(name, m, paired_table(section, name, m)) for name in section.sets for m in shown]
    return {
        "section": section,
        "scores": score_table(section, shown),
        "figures": figures,
        "plots": [plot for name in section.sets for plot in tradeoffs(section, name, shown[0])] if shown else [],
        "pairs": [(table, power_note(section, name, m)) for name, m, table in pairs if table],
        "curves": learning_curves(section),
        "runs": _runs(section),
    }


def _panel_scores(figure: Figure) -> list[list[tuple[str, int]]]:
    """PSNR and SSIM of each crop's picture, as far as they are known, and their ranks."""
    found: list[list[tuple[str, int]]] = [[] for _ in figure.panels]
    for metric, unit in (("psnr", " dB"), ("ssim", "")):
        places = ranks([panel.scores.get(metric, math.nan) for panel in figure.panels], metric)
        for scores, panel, rank in zip(found, figure.panels, places, strict=True):
            if metric in panel.scores:
                scores.append((number(panel.scores[metric], metric) + unit, rank))
    return found


def _runs(section: Section) -> Table:
    """Where every number of the section came from."""
    rows = []
    for method in section.methods:
        for run in method.runs:
            versions = run.details.get("versions") or {}
            cells = [run.shown, run.source, run.details.get("steps", ""), run.details.get("seconds", "")]
            made = ", ".join(f"{key} {value}" for key, value in versions.items())
            rows.append([Cell(run_label(method, run)), *(Cell("" if c is None else str(c)) for c in [*cells, made])])
    return Table(f"Protocol {section.title}", ["model", "folder", "weights", "steps", "seconds", "versions"], rows)
