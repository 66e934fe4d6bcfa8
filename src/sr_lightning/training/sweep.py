"""One table over all runs of a Hydra sweep."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import ConfigError, NothingToDo
from sr_lightning.ranks import is_first_process
from sr_lightning.training.run_folders import LAST, result_of, typed_for

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

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _SWEEPS.append(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        if failed := write_table(Path(config.hydra.sweep.dir)):
            print(f"error: {failed} of the runs failed; the reasons are above", file=sys.stderr)
            sys.exit(1)


def write_table(folder: Path) -> int:
    """Writes and prints the table of a sweep.

    Returns:
        How many of its runs failed.
    """
    runs = sorted((path.parent for path in folder.glob("*/.hydra")), key=lambda run: (len(run.name), run.name))
    results = {run: _result(run) for run in runs}
    rows = [row for run, result in results.items() for row in _rows(run, result)]
    if not rows:
        return 0
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
    readable = [row | {"overrides": " ".join(o for o in row["overrides"].split() if o not in shared)} for row in rows]
    for row in readable:
        row |= {count: human_number(float(row[count])) for count in ("parameters", "macs_720p") if row[count]}
    table = markdown(readable)
    with atomic_write(folder / "table.md") as temporary:
        temporary.write_text(table + "\n", encoding="utf-8")
    print(f"\n{table}\n{folder / 'table.csv'}")
    return sum(row["model"] == FAILED for row in rows)


#: The sweep of this process.
_SWEEPS: list[DictConfig] = []


def table_of_broken_sweep() -> None:
    """Writes the table of a sweep whose launcher failed: runs that have no results are rows of failed ones."""
    begun = _SWEEPS and any(Path(_SWEEPS[-1].hydra.sweep.dir).glob("*/.hydra"))
    if begun:
        folder = _SWEEPS[-1].hydra.sweep.dir
        write_table(Path(folder))
        print(f"the same command goes on with the runs that are left if it has run_dir={folder}", file=sys.stderr)


def left_off_at(cfg: DictConfig, folder: Path) -> str | None:
    """The checkpoint at which a run of a sweep was stopped, None if it was not begun.

    Args:
        cfg: Of the run.
        folder: Of the run.

    Raises:
        NothingToDo: If it is done.
        ConfigError: If the folder holds a run of other settings.
    """
    before = typed_for(folder)
    if before is None:
        return None
    if before != list(cfg.overrides):
        other = [o for o in before if o not in cfg.overrides] or [o for o in cfg.overrides if o not in before]
        raise ConfigError(
            f"{folder}: holds a run of another sweep, which differs in {' '.join(other) or 'its order'}; choose "
            "another run_dir=FOLDER"
        )
    if (folder / "results.json").exists():
        raise NothingToDo(f"{folder}: done already")
    last = folder / LAST
    if not last.is_file():
        return None
    if is_first_process():
        print(f"resuming {folder}", file=sys.stderr)
    return str(last)


def _rows(run: Path, result: dict[str, Any] | None) -> list[dict[str, str]]:
    """A run's rows, one for each set; a run without results says so."""
    base = {"run": run.name, "overrides": " ".join(_typed(run))}
    if result is None:
        return [dict.fromkeys(COLUMNS, "") | base | {"model": FAILED}]
    counts = {key: str(result.get(key, "")) for key in ("model", "parameters", "macs_720p", "seconds")}
    if result.get("pruned"):
        counts["model"] += " (pruned)"
    return _set_rows(result, result["sets"], base | counts)


def _typed(run: Path) -> list[str]:
    """What was typed for a run in this sweep, as Hydra noted before it began."""
    overrides = (run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("- ").strip() for line in overrides]


def _result(run: Path) -> dict[str, Any] | None:
    """What a run of this sweep scored; None if it failed, or the folder was taken by a run of other settings."""
    before = typed_for(run)
    return result_of(run) if before is None or sorted(before) == sorted(_read(run)) else None


def _read(run: Path) -> list[str]:
    noted: Any = OmegaConf.to_container(OmegaConf.load(run / ".hydra" / "overrides.yaml"), resolve=False)
    return [str(override).replace("${", "\\${") for override in noted]


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
