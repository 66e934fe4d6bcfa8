"""The plots of a section: quality against cost, and learning curves."""

import math
from html import escape

from sr_lightning.reports.collect import Run, learning_curve
from sr_lightning.reports.plots import curves, legend, scatter
from sr_lightning.reports.sections import Method, Section
from sr_lightning.reports.tables import heading, number


def tradeoffs(section: Section, set_name: str, metric: str) -> list[str]:
    """Quality against parameters and against MACs, with what costs nothing as a level."""
    means = [(m, m.interval(set_name, metric)[0]) for m in section.methods]
    means = [(method, mean) for method, mean in means if math.isfinite(mean)]
    plots = []
    for cost, label in (("parameters", "parameters"), ("macs", "multiply-accumulates for one 1280x720 picture")):
        points = [(m.label, float(getattr(m.runs[0], cost)), mean) for m, mean in means if getattr(m.runs[0], cost) > 0]
        levels = [(m.label, mean) for m, mean in means if not getattr(m.runs[0], cost)]
        if not points:
            continue
        # A baseline far away would press all others into one line.
        low, high = (choose(mean for _, _, mean in points) for choose in (min, max))
        near = [(name, mean) for name, mean in levels if low == high or low * 2 - high <= mean <= high * 2 - low]
        far = "".join(f"; {name}: {number(mean, metric)}" for name, mean in levels if (name, mean) not in near)
        title = f"{set_name}: {heading(metric)} against {label}"
        svg = scatter(points, label, heading(metric), title=title, lines=near)
        caption = escape(f"{set_name}, {section.title}{far}")
        plots.append(f"<figure><figcaption>{caption}</figcaption>{svg}</figure>")
    return plots


def learning_curves(section: Section) -> str:
    """Validation PSNR and training loss of each training run."""
    runs = [(run_label(method, run), run) for method in section.methods for run in method.runs if run.details]
    plots = []
    for column, label in (("val/psnr", "validation PSNR (dB)"), ("train/loss", "training loss")):
        series = [(name, points) for name, run in runs if (points := learning_curve(run.folder, column))]
        if series:
            svg = curves(series, "step", label, title=f"{label} during training")
            names = legend([name for name, _ in series])
            plots.append(f"<figure><figcaption>{label}, {escape(section.title)}</figcaption>{svg}{names}</figure>")
    return f'<h3>Learning curves</h3><div class="grid2">{"".join(plots)}</div>' if plots else ""


def run_label(method: Method, run: Run) -> str:
    """The method's name, with the seed if that has several runs."""
    seed = f", seed {run.details['seed']}" if "seed" in run.details and len(method.runs) > 1 else ""
    return f"{method.label}{seed}"
