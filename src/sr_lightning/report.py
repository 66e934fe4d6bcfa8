"""``python -m sr_lightning.report runs/``: one page, and tables, of all runs below a folder."""

from __future__ import annotations

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
    run(report, "report")


if __name__ == "__main__":
    main()
