"""One table over all runs of a Hydra sweep."""

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from sr_lightning.atomic import atomic_write

#: Columns of metrics that stand in the table only where a run has them.
ON_REQUEST = ("ms_ssim", "ifc", "lr_psnr", "lpips", "dists")
COLUMNS = (
    "run",
    "model",
    "scale",
    "protocol",
    "set",
    "psnr",
    "ssim",
    *ON_REQUEST,
    "parameters",
    "macs_720p",
    "seconds",
    "overrides",
)
FAILED = "failed"


class SweepTable(Callback):
    """Writes ``table.md`` and ``table.csv`` into the sweep's folder when all its runs have ended."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        runs = sorted((path.parent for path in folder.glob("*/.hydra")), key=lambda run: (len(run.name), run.name))
        results = {run: _result(run) for run in runs}
        rows = [row for run, result in results.items() for row in _rows(run, result)]
        if not rows:
            return
        from sr_lightning.evaluation.scoring import human_number, markdown

        # What all runs have in common says nothing about their differences.
        shared = set.intersection(*(set(row["overrides"].split()) for row in rows)) if len(rows) > 1 else set()
        rows = [*_bicubic_rows(results.values()), *rows]

        unused = {metric for metric in ON_REQUEST if not any(row[metric] for row in rows)}
        columns = [column for column in COLUMNS if column not in unused]
        rows = [{column: row[column] for column in columns} for row in rows]
        with atomic_write(folder / "table.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        readable = [
            row | {"overrides": " ".join(o for o in row["overrides"].split() if o not in shared)} for row in rows
        ]
        for row in readable:
            row |= {count: human_number(float(row[count])) for count in ("parameters", "macs_720p") if row[count]}
        table = markdown(readable)
        with atomic_write(folder / "table.md") as temporary:
            temporary.write_text(table + "\n", encoding="utf-8")
        print(f"\n{table}\n{folder / 'table.csv'}")
        failed = sum(row["model"] == FAILED for row in rows)
        if failed:
            print(f"error: {failed} of the runs failed; the reasons are above", file=sys.stderr)
            sys.exit(1)


def _result(run: Path) -> dict[str, Any] | None:
    """What a run's result file holds, if it wrote one."""
    try:
        content: dict[str, Any] = json.loads((run / "results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def _rows(run: Path, result: dict[str, Any] | None) -> list[dict[str, str]]:
    """A run's rows, one for each set; a run without results says so."""
    overrides = (run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8").splitlines()
    base = {"run": run.name, "overrides": " ".join(line.removeprefix("- ").strip() for line in overrides)}
    if result is None:
        return [dict.fromkeys(COLUMNS, "") | base | {"model": FAILED}]
    counts = {key: str(result.get(key, "")) for key in ("model", "parameters", "macs_720p", "seconds")}
    return _set_rows(result, result["sets"], base | counts)


def _bicubic_rows(results: Iterable[dict[str, Any] | None]) -> list[dict[str, str]]:
    """Bicubic interpolation, as the runs scored it: one row for each scale, protocol and set."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in filter(None, results):
        for row in _set_rows(result, result.get("bicubic", {}), {"model": "bicubic"}):
            rows.setdefault((row["scale"], row["protocol"], row["set"]), row)
    return list(rows.values())


def _set_rows(result: dict[str, Any], sets: dict[str, Any], shared: dict[str, str]) -> list[dict[str, str]]:
    """A row for each set of scores."""
    base = dict.fromkeys(COLUMNS, "") | {key: str(result.get(key, "")) for key in ("scale", "protocol")} | shared
    return [
        base | {"set": name, **{metric: _shown(value) for metric, value in scores.items() if metric in COLUMNS}}
        for name, scores in sets.items()
    ]


def _shown(value: float | str | None) -> str:
    """A score of a result file, where null is infinity and NaN a word."""
    return f"{value:.4f}" if isinstance(value, int | float) else value or "inf"
