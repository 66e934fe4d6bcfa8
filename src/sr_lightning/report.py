"""``python -m sr_lightning.report runs/``: one page and the tables of all runs in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.cli.start import run

if TYPE_CHECKING:
    from omegaconf import DictConfig


def report(cfg: DictConfig) -> Path:
    """Writes ``report.html``, ``report.md`` and ``report.tex`` about all runs below ``cfg.runs``.

    Returns:
        The page.

    Raises:
        SRError: If there are no runs, or an option names what they do not have.

    Example:
        >>> from sr_lightning.config import compose
        >>> page = report(compose("report", ["runs=runs", "metrics=[psnr]"]))  # doctest: +SKIP
    """
    from sr_lightning.reports.write import write_report

    return write_report(cfg.runs, cfg.output, metrics=cfg.metrics, figure=cfg.figure, box=cfg.box)


def main() -> None:
    """Entry point of ``sr-report``."""
    run(report, "report", with_folder)


def with_folder(argv: list[str]) -> list[str]:
    """Arguments in Hydra's grammar: a folder in the first place becomes ``runs=FOLDER``.

    Example:
        >>> with_folder(["runs/", "metrics=[psnr]"])
        ['runs=runs/', 'metrics=[psnr]']
    """
    first = argv[0] if argv else ""
    if not first or first.startswith("-") or ("=" in first and not Path(first).is_dir()):
        return argv
    if len(argv) > 1 and "=" not in argv[1] and not argv[1].startswith("-"):
        sys.exit(
            f"error: {first} and {argv[1]}: give one folder, for all runs below it are found; options are key=value"
        )
    return [f"runs={first}", *argv[1:]]


if __name__ == "__main__":
    main()
