"""Plots as inline SVG; their colours are CSS variables of the page, so that they follow its light or dark scheme."""

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 20, 14, 46
GLYPH, LINE = 6.6, 14  # pixels: width of a character and height of a line of the labels
COLORS = 8

Scale = Callable[[float], float]
Box = tuple[float, float, float, float]


def scatter(
    points: Sequence[tuple[str, float, float]],
    xlabel: str,
    ylabel: str,
    *,
    title: str,
    lines: Sequence[tuple[str, float]] = (),
) -> str:
    """Named points over a logarithmic x; ``lines`` are levels of what has no x, such as bicubic.

    Example:
        >>> svg = scatter([("imdn", 694e3, 38.0)], "parameters", "PSNR (dB)", title="x", lines=[("bicubic", 33.7)])
        >>> svg.count("<circle")
        1
    """
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points] + [y for _, y in lines]
    room = (max(ys) - min(ys)) * 0.05
    x_ticks, y_ticks = log_ticks(min(xs) / 1.1, max(xs) * 1.1), linear_ticks(min(ys) - room, max(ys) + room)
    frame, x_of, y_of = _axes(x_ticks, y_ticks, xlabel, ylabel, log_x=True)
    parts, taken = [frame], [(x_of(x) - 5, y_of(y) - 5, x_of(x) + 5, y_of(y) + 5) for _, x, y in points]
    for label, y in lines:
        height = y_of(y)
        parts.append(f'<path class="level" d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}"/>')
        box = _free(LEFT, height, label, taken, [(6, -LINE), (6, 1), (150, -LINE), (150, 1)])
        parts.append(_label(box, label))
    for label, x, y in points:
        tip = escape(f"{label}: {y:.4g} at {x:.4g}")
        parts.append(f'<circle class="dot" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4.5"><title>{tip}</title></circle>')
    for label, x, y in points:
        wide = len(_short(label)) * GLYPH
        spots = [(9, -LINE / 2), (-9 - wide, -LINE / 2), (-wide / 2, -LINE - 6), (-wide / 2, 6), (7, -LINE - 4)]
        spots += [(7, 4), (-7 - wide, -LINE - 4), (-7 - wide, 4), (-wide / 2, -2 * LINE - 4), (-wide / 2, LINE + 4)]
        parts.append(_label(_free(x_of(x), y_of(y), label, taken, spots), label))
    return _svg(parts, title)


def curves(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], xlabel: str, ylabel: str, *, title: str) -> str:
    """Lines over a linear x; their names stand in ``legend``. Long ones are thinned to what a screen can show."""
    series = [(label, _thinned(points)) for label, points in series]
    xs, ys = ([point[axis] for _, points in series for point in points] for axis in (0, 1))
    x_ticks, y_ticks = linear_ticks(min(xs), max(xs)), linear_ticks(min(ys), max(ys))
    frame, x_of, y_of = _axes(x_ticks, y_ticks, xlabel, ylabel)
    parts = [frame]
    for i, (label, points) in enumerate(series):
        path = "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in points)
        parts.append(f'<path class="curve" {_stroke(i)} d="M{path}"><title>{escape(label)}</title></path>')
        if len(points) <= 20:
            parts += [
                f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" style="fill:var(--c{i % COLORS})"/>'
                for x, y in points
            ]
    return _svg(parts, title)


def legend(labels: Sequence[str]) -> str:
    """The names of curves with samples of their lines; a list that wraps, unlike text in a plot."""
    sample = (
        '<svg viewBox="0 0 24 10" width="24" height="10" aria-hidden="true"><path class="curve" {} d="M1 5H23"/></svg>'
    )
    items = (f"<li>{sample.format(_stroke(i))} {escape(label)}</li>" for i, label in enumerate(labels))
    return f'<ul class="legend">{"".join(items)}</ul>'


def linear_ticks(low: float, high: float) -> list[float]:
    """About five round numbers that enclose a range.

    Example:
        >>> linear_ticks(33.1, 37.9)
        [33.0, 34.0, 35.0, 36.0, 37.0, 38.0]
    """
    span = high - low or abs(high) * 0.1 or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power * 5 >= span * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(float(i * step), 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, fewer over many decades, that enclose a range.

    Example:
        >>> log_ticks(261e3, 694e3)
        [200000.0, 500000.0, 1000000.0]
    """
    steps = (1, 2, 5) if high / low < 50 else (1, 3) if high / low < 2000 else (1,)
    every = [
        m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2) for m in steps
    ]
    first = max(i for i, tick in enumerate(every) if tick < low)
    last = min(i for i, tick in enumerate(every) if tick > high)
    return every[first : last + 1]


def _axes(
    x_ticks: list[float], y_ticks: list[float], xlabel: str, ylabel: str, log_x: bool = False
) -> tuple[str, Scale, Scale]:
    """Grid, numbers and names of the axes, and the functions from values to pixels."""
    warp: Scale = math.log if log_x else float
    x0, x1 = warp(x_ticks[0]), warp(x_ticks[-1])

    def x_of(x: float) -> float:
        return LEFT + (warp(x) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def y_of(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - TOP - BOTTOM)

    floor, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    digits = max(len(f"{y:.6f}".rstrip("0").partition(".")[2]) for y in y_ticks)
    parts = []
    for y in y_ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y_of(y):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y_of(y) + 4:.1f}" text-anchor="end">{y:.{digits}f}</text>')
    for x in x_ticks:
        parts.append(f'<path class="axis" d="M{x_of(x):.1f} {floor}v4"/>')
        parts.append(f'<text x="{x_of(x):.1f}" y="{floor + 18}" text-anchor="middle">{_tick(x)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {floor}H{WIDTH - RIGHT}"/>')
    centre = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="name" x="{centre}" y="{HEIGHT - 8}" text-anchor="middle">{escape(xlabel)}</text>')
    turned = f'transform="rotate(-90 14 {middle})" text-anchor="middle"'
    parts.append(f'<text class="name" x="14" y="{middle}" {turned}>{escape(ylabel)}</text>')
    return "".join(parts), x_of, y_of


def _tick(value: float) -> str:
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _free(x: float, y: float, label: str, taken: list[Box], spots: Sequence[tuple[float, float]]) -> Box:
    """The first of some places beside a point that covers no other label or point; it is taken from then on."""
    wide = len(_short(label)) * GLYPH
    boxes = [(x + dx, y + dy, x + dx + wide, y + dy + LINE) for dx, dy in spots]
    inside = [b for b in boxes if b[0] >= LEFT and b[2] <= WIDTH and b[1] >= 0 and b[3] <= HEIGHT - BOTTOM] or boxes

    def covered(box: Box) -> float:
        overlaps = (
            max(0.0, min(box[2], o[2]) - max(box[0], o[0])) * max(0.0, min(box[3], o[3]) - max(box[1], o[1]))
            for o in taken
        )
        return sum(overlaps)

    best = min(inside, key=covered)
    taken.append(best)
    return best


def _label(box: Box, label: str) -> str:
    return f'<text class="label" x="{box[0]:.1f}" y="{box[3] - 3.5:.1f}">{escape(_short(label))}</text>'


def _short(label: str) -> str:
    return label if len(label) <= 24 else label[:23] + "…"


def _thinned(points: Sequence[tuple[float, float]], limit: int = 400) -> Sequence[tuple[float, float]]:
    """Every n-th point, counted from the last."""
    return points[:: -math.ceil(len(points) / limit)][::-1] if points else points


def _stroke(index: int) -> str:
    dashes = ("", ";stroke-dasharray:6 3", ";stroke-dasharray:2 3")[index // COLORS % 3]
    return f'style="stroke:var(--c{index % COLORS}){dashes}"'


def _svg(parts: Sequence[str], title: str) -> str:
    name = escape(title, quote=True)
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
