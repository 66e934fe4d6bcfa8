"""From the options of the command to the files of the report."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import ConfigError, DataError, SRError, nearest
from sr_lightning.reports.collect import collect
from sr_lightning.reports.figure import Figure, make_figure, most_different_picture, picture_names
from sr_lightning.reports.formats import to_latex, to_markdown, to_text
from sr_lightning.reports.page import METHOD, PAIRS, page
from sr_lightning.reports.sections import Section, sections_of
from sr_lightning.reports.tables import NAMES, Table, counted_noun, paired_table, score_table

#: Characters of pictures in one page, of which mail programs and reviewers' systems refuse large ones.
BUDGET = 4_500_000


def write_report(
    runs: str,
    output: str | None = None,
    *,
    metrics: Sequence[str] | str | None = None,
    figure: Sequence[str] | str | None = None,
    box: Sequence[int] | None = None,
) -> Path:
    """Reads all runs of a folder and writes the three files; the arguments are those of ``conf/report.yaml``.

    Raises:
        SRError: If there are no runs, or an option names what they do not have.
    """
    root = Path(runs)
    if not root.is_dir():
        raise DataError(f"{runs}: no such folder; name the folder of the runs: python -m sr_lightning.report FOLDER")
    box = _checked_box(box)
    found, skipped = collect(root)
    sections = sections_of(found)
    for reason in skipped:
        print(f"skipped {reason}", file=sys.stderr)
    if not sections:
        broken = f" that can be used ({len(skipped)} cannot)" if skipped else ""
        raise DataError(f"{runs}: no results.json{broken} in any folder of it; train or evaluate first")
    shown = _checked_metrics(metrics, sections)
    figures, notes = _figures(sections, [figure] if isinstance(figure, str) else figure, box)
    notes = [*_uneven(sections), *_nan(sections, shown), *notes]
    folder = Path(output) if output else root
    title = f"Super-resolution report: {root.resolve().name or root}"
    tables = _tables(sections, shown)
    _write(folder / "report.html", page(title, sections, figures, shown, skipped, notes))
    remarks = [*(f"Skipped: {reason}" for reason in skipped), *notes]
    _write(
        folder / "report.md", "\n".join([f"# {title}\n", *map(to_markdown, tables), METHOD, "", PAIRS, *remarks, ""])
    )
    head = [r"% \usepackage{booktabs}", *(f"% {' '.join(line.split())}" for line in (METHOD, PAIRS, *remarks))]
    _write(folder / "report.tex", "\n".join([*head, "", *map(to_latex, tables)]))
    for section in sections:
        print(to_text(score_table(section, shown)))
    for note in notes:
        print(f"note: {note}")
    ending = f"; {len(skipped)} result files skipped" if skipped else ""
    print(f"{folder / 'report.html'}, report.md, report.tex{ending}")
    return folder / "report.html"


def _tables(sections: Sequence[Section], metrics: Sequence[str]) -> list[Table]:
    tables: list[Table] = []
    for section in sections:
        shown = [metric for metric in section.metrics if metric in metrics]
        pairs = [paired_table(section, name, metric) for name in section.sets for metric in shown]
        tables += [score_table(section, shown), *(table for table in pairs if table)]
    return tables


def _figures(
    sections: Sequence[Section], wanted: Sequence[str] | None, box: Sequence[int] | None
) -> tuple[dict[int, list[Figure]], list[str]]:
    """Comparison figures by section, and notes on those that could not be made."""
    known = {name for section in sections for name in picture_names(section)}
    for name in wanted or ():
        if name not in known:
            hint = nearest(name, known) if known else "evaluate with save_images=true first"
            raise ConfigError(f"figure={name}: no run saved such a picture; {hint}")
    figures: dict[int, list[Figure]] = {}
    notes = []
    weight = 0
    for i, section in enumerate(sections):
        names = picture_names(section)
        default = most_different_picture(section)
        chosen = [name for name in wanted if name in names] if wanted else [default] if default else []
        if not names:
            notes.append(f"{section.title}: no pictures to compare; evaluate with save_images=true")
        for name in chosen:
            try:
                made, missing = make_figure(section, name, box)
            except ConfigError:
                raise
            except SRError as error:
                notes.append(f"{section.title}: {error}")
                continue
            notes += missing
            size = len(made.uri) + sum(len(panel.uri) for panel in made.panels)
            if weight + size > BUDGET:
                notes.append(f"{section.title}: the figure of {name} is left out, to keep the page small")
                continue
            weight += size
            figures.setdefault(i, []).append(made)
    return figures, notes


def _uneven(sections: Sequence[Section]) -> list[str]:
    """Sets of which a method has fewer pictures than another: their means are of different things."""
    notes = []
    for section in sections:
        for name in section.sets:
            counts = {m.label: len(m.scores(name, section.metrics[0])) for m in section.methods}
            most = max(counts.values())
            notes += [
                f"{section.title}: {label} has {count} of the {most} pictures of {name}; compare the paired differences"
                for label, count in counts.items()
                if 0 < count < most
            ]
    return notes


def _nan(sections: Sequence[Section], metrics: Sequence[str]) -> list[str]:
    """Methods whose scores are no numbers."""
    notes = []
    for section, name, method in ((s, name, m) for s in sections for name in s.sets for m in s.methods):
        counts = {x: sum(map(math.isnan, method.scores(name, x).values())) for x in metrics}
        broken = ", ".join(NAMES.get(x, x) for x, count in counts.items() if count)
        if broken:
            pictures = f"{counted_noun(max(counts.values()), 'picture')} of {name}"
            notes.append(f"{section.title}: {method.label} has nan as {broken} of {pictures}; was its training stable?")
    return notes


def _checked_metrics(metrics: Sequence[str] | str | None, sections: Sequence[Section]) -> list[str]:
    known = list(dict.fromkeys(metric for section in sections for metric in section.metrics))
    chosen = [metrics] if isinstance(metrics, str) else list(metrics or known)
    for metric in chosen:
        if metric not in known:
            raise ConfigError(f"metrics: no run has {metric!r}; {nearest(str(metric), known)}")
    return chosen


def _checked_box(box: Any) -> Sequence[int] | None:
    if box is None:
        return None
    four = not isinstance(box, str | int | float) and all(type(v) is int for v in box)
    if not four or len(box) != 4 or min(box) < 0 or min(box[2:]) < 1:
        raise ConfigError(f"box={box}: must be four whole numbers, left, top, width and height, such as [80,40,48,48]")
    return list(box)


def _write(path: Path, text: str) -> None:
    """Writes the file, or leaves the one that is there."""
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SRError(f"{path}: cannot be written ({error.strerror}); choose another folder with output=") from None
