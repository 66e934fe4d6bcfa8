"""Rows of a result: their names, their shares of what the machine can do, and their table."""

from collections.abc import Sequence
from typing import Any

from sr_lightning.evaluation.scoring import markdown

#: What is measured of one way: texts, which name it, then numbers by what they mean. ``seconds`` is a median between
#: ``low`` and ``high``; ``GMAC`` are multiply-accumulates in billions, in numbers of ``bits`` bits.
Row = dict[str, Any]


def name_of(row: Row) -> str:
    """By which a row is found again in another result.

    Example:
        >>> name_of({"network": "span x2", "way": "tiles", "seconds": 1.5})
        'span x2, tiles'
    """
    return ", ".join(value for value in row.values() if isinstance(value, str))


def with_shares(rows: Sequence[Row], speeds: dict[str, float]) -> list[Row]:
    """The rows; those with multiply-accumulates also say which share of the matrix product's speed they reach.

    Example:
        >>> rows = with_shares([{"seconds": 2.0, "GMAC": 50.0, "bits": 32}], {"float32 GFLOP/s": 100.0})
        >>> rows[0]["share of peak"]
        0.5
    """
    found = []
    for row in rows:
        peak = speeds.get({32: "float32 GFLOP/s", 16: "bf16 GFLOP/s"}.get(row.get("bits", 0), ""))
        share = {"share of peak": 2 * row["GMAC"] / row["seconds"] / peak} if peak and row.get("GMAC") else {}
        found.append({**row, **share})
    return found


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown. The spread stands in one column.

    Example:
        >>> print(table([{"way": "psnr", "seconds": 0.25, "low": 0.2, "high": 0.3, "share of peak": 0.125}]))
        | way  | seconds | spread   | share of peak |
        |------|---------|----------|---------------|
        | psnr | 0.25    | 0.2..0.3 | 12.5 %        |
    """
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("low", "high")))
    if any("low" in row for row in rows):
        columns.insert(columns.index("seconds") + 1, "spread")
    return markdown([{column: _cell(row, column) for column in columns} for row in rows])


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in a sentence or two below a table."""
    speeds = ", ".join(f"{value:.4g} {name}" for name, value in machine["speeds"].items())
    of = machine["processor"] if machine["device"] == "cpu" else machine["device"]
    torch = machine["versions"]["torch"]
    return f"{of}, {machine['instructions']}, {machine['threads']} threads, torch {torch}; which reached {speeds}"


def _cell(row: Row, column: str) -> str:
    if column == "spread":
        return f"{row['low']:.3g}..{row['high']:.3g}" if "low" in row else ""
    value = row.get(column)
    if value is None:
        return ""
    if column.startswith("share"):
        return f"{100 * value:.3g} %"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
