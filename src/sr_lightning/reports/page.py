"""The report as one HTML page that needs nothing but itself: no scripts, no fonts, no other files."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from sr_lightning.reports.charts import learning_curves, run_label, tradeoffs
from sr_lightning.reports.figure import Figure
from sr_lightning.reports.sections import Section
from sr_lightning.reports.tables import Cell, Table, counted_noun, number, paired_table, power_note, ranks, score_table
from sr_lightning.version import __version__

#: How the numbers came about; every format of the report says so.
METHOD = (
    "Means are over pictures, in brackets with the 95 % t interval of such a mean: how far it would move with other "
    "pictures. ± after it is the standard deviation over runs, where a model has several. ↑ heads what is better where "
    "it is higher, ↓ what is better where it is lower; bold is best, underlined second. PSNR is of whole pictures; the "
    "infinite one of a picture without any error is left out of means, and ∞ is the mean of such pictures alone. nan "
    "is no number, as of a network that diverged."
)
PAIRS = (
    "Each cell is the mean difference on the same pictures, the row's model minus the column's, ± half its 95 % t "
    "interval, for each pair separately. p is that of the two-sided sign-flip permutation test (all sign patterns up "
    "to 16 pictures, 20,000 random ones beyond), corrected for the number of pairs by Holm's method; bold where it "
    "is below 0.05. Pictures whose score is infinite or nan are left out of pairs."
)


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
    count = len({run.folder for section in sections for method in section.methods for run in method.runs})
    links = "".join(f'<li><a href="#s{i}">{escape(s.title)}</a></li>' for i, s in enumerate(sections))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{counted_noun(count, "run")}, {counted_noun(len(sections), "combination")} of protocol, '
        "LR pictures and scale. Numbers of different ones are never comparable, so each has tables of its own.</p>",
        f"<nav><ul>{links}</ul></nav>" if len(sections) > 1 else "",
        _note(f"{counted_noun(len(skipped), 'result file')} skipped", skipped),
        _note("Notes", notes),
        *(_section(i, section, figures.get(i, []), metrics) for i, section in enumerate(sections)),
        "<h2>How to read this</h2>",
        f"<p>{METHOD}</p><p>{PAIRS}</p>",
        f'<p class="soft">sr_lightning {__version__}</p>',
    ]
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style>"
    )
    body = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n<main>\n{body}\n</main>\n</body></html>\n'


def _section(index: int, section: Section, figures: Sequence[Figure], metrics: Sequence[str]) -> str:
    shown = [metric for metric in section.metrics if metric in metrics]
    parts = [f'<section><h2 id="s{index}">{escape(section.title)}</h2>']
    parts.append(f'<p class="soft">Protocol {escape(section.protocol)}: {escape(section.fields) or "not recorded"}</p>')
    parts.append(_table(score_table(section, shown)))
    parts += [_figure(figure, section) for figure in figures]
    plots = [plot for name in section.sets for plot in tradeoffs(section, name, shown[0])] if shown else []
    if plots:
        parts.append(f'<h3>Quality and cost</h3><div class="grid2">{"".join(plots)}</div>')
    pairs = [(name, m, paired_table(section, name, m)) for name in section.sets for m in shown]
    tables = [
        _table(table) + f"<p class='soft'>{escape(power_note(section, name, m))}</p>"
        for name, m, table in pairs
        if table
    ]
    if tables:
        parts.append(f"<h3>Paired differences</h3>{''.join(tables)}")
    parts += [learning_curves(section), _runs(section), "</section>"]
    return "\n".join(part for part in parts if part)


def _table(table: Table, kind: str = "numbers") -> str:
    def mark(cell: Cell) -> str:
        text = escape(cell.text)
        text = {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(cell.rank, text)
        return text + "".join(f"<small>{escape(line)}</small>" for line in cell.remark.splitlines())

    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = (
        f'<tr><th scope="row"><div>{mark(name)}</div></th>{"".join(f"<td>{mark(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in table.rows
    )
    return (
        f'<p class="soft caption">{escape(table.caption)}</p><div class="scroll" tabindex="0"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _figure(figure: Figure, section: Section) -> str:
    (width, height), (left, top, w, h) = figure.size, figure.box
    name = escape(figure.name, quote=True)
    whole = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name} with the detail marked">'
        f'<image href="{figure.uri}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        f'<rect class="box" x="{left}" y="{top}" width="{w}" height="{h}"/></svg>'
    )
    places = {m: ranks([p.scores.get(m, math.nan) for p in figure.panels], m) for m in ("psnr", "ssim")}
    crops = []
    for i, panel in enumerate(figure.panels):
        scores = []
        for metric, unit in (("psnr", " dB"), ("ssim", "")):
            if metric in panel.scores:
                text, rank = number(panel.scores[metric], metric) + unit, places[metric][i]
                scores.append({1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(rank, text))
        small = f"<small>{' / '.join(scores) or 'PSNR / SSIM'}</small>"
        label = escape(panel.label, quote=True)
        crops.append(
            f'<figure><img src="{panel.uri}" alt="{name} by {label}"><figcaption>{label}{small}</figcaption></figure>'
        )
    return (
        f'<h3>{name}</h3><div class="compare"><figure>{whole}<figcaption>{name}, {width}x{height}; the box is '
        f"{w}x{h} pixels at ({left}, {top}). Protocol {escape(section.title)}.</figcaption></figure>"
        f'<div class="crops">{"".join(crops)}</div></div>'
    )


def _runs(section: Section) -> str:
    """Where every number of the section came from."""
    rows = []
    for method in section.methods:
        for run in method.runs:
            versions = run.details.get("versions") or {}
            cells = [run.shown, run.source, run.details.get("steps", ""), run.details.get("seconds", "")]
            made = ", ".join(f"{key} {value}" for key, value in versions.items())
            rows.append([Cell(run_label(method, run)), *(Cell("" if c is None else str(c)) for c in [*cells, made])])
    table = Table(f"Protocol {section.title}", ["model", "folder", "weights", "steps", "seconds", "versions"], rows)
    return f"<details><summary>Runs of this section</summary>{_table(table, 'words')}</details>"


def _note(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="note"><b>{escape(title)}</b><ul>{items}</ul></div>' if lines else ""
