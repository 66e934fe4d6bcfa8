"""The loggers of a run: made, given pictures and the closing table, and ended as the run ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from sr_lightning.cli.sweep_jobs import is_run_of_sweep
from sr_lightning.config import build
from sr_lightning.errors import Interrupted
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.training.mlflow_runs import MLflowRun, Status
from sr_lightning.training.parts import parts_of


def build_loggers(cfg: DictConfig, folder: Path) -> list[Logger]:
    """The loggers of a config. In a sweep, each run has the sweep's folder as its group, and its number in its name.

    Args:
        cfg: Of the run. A ``name``, ``run_name`` or ``group`` in it stays.
        folder: Of the run.
    """
    return [build(_named(part, str(cfg.name), folder.absolute())) for part in parts_of(cfg, "logger")]


def _named(part: DictConfig, name: str, folder: Path) -> DictConfig:
    """A logger's config with the names of its run, where it has places for them that are empty."""
    sweep = folder.parent.name if is_run_of_sweep() else None
    if "run_name" in part:  # MLflow's
        names: dict[str, Any] = {"run_name": f"{sweep}/{folder.name} {name}" if sweep else folder.name}
        names |= {"tags": {"sweep": sweep}} if sweep else {}
    else:
        names = {"name": f"{name} {folder.name}", "group": sweep} if sweep and "group" in part else {}
    free = {key: value for key, value in names.items() if key in part and part[key] is None}
    return part if not free else OmegaConf.merge(part, free)  # type: ignore[return-value]


def begin_before_processes(trainer: Trainer) -> None:
    """Begins the runs of MLflow here, where processes that this one starts train, and this one writes the table."""
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        for logger in trainer.loggers:
            if isinstance(logger, MLflowRun):
                logger.begin_for_others()


def log_picture(trainer: Trainer, name: str, file: Path) -> None:
    """A sample picture in every logger that shows pictures.

    Args:
        trainer: Of the run.
        name: The key of the picture.
        file: The picture, in the run's folder.
    """
    for logger in trainer.loggers:
        if isinstance(logger, MLflowRun):
            logger.log_picture(file, trainer.global_step)
        elif isinstance(logger, TensorBoardLogger | WandbLogger):
            with Image.open(file) as figure:
                figure.load()
            if isinstance(logger, WandbLogger):
                logger.log_image(name, [figure], trainer.global_step)
            else:
                logger.experiment.add_image(name, np.array(figure), trainer.global_step, dataformats="HWC")


def log_table(trainer: Trainer, rows: list[dict[str, str]]) -> None:
    """The closing table in every logger, as ``final/<model>/<set>/<metric>``, and as a table where one can be shown."""
    values = {
        f"final/{row['model']}/{row['set']}/{metric}": float(value)
        for row in rows
        for metric, value in row.items()
        if metric not in ("model", "set")
    }
    for logger in trainer.loggers if rows else ():
        logger.log_metrics(values, step=trainer.global_step)
        if isinstance(logger, WandbLogger):
            logger.log_table(
                "final", columns=list(rows[0]), data=[list(row.values()) for row in rows], step=trainer.global_step
            )
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("final", markdown(rows), trainer.global_step)
        elif isinstance(logger, MLflowRun):
            logger.log_table(rows)
        logger.save()


@contextmanager
def loggers_closed_after(trainer: Trainer) -> Iterator[None]:
    """Ends the runs of Weights & Biases and MLflow, and says how: finished, failed, or killed by a signal.

    What comes next in this process, as in a sweep, would be logged into them otherwise.
    """
    status: Status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (Interrupted, KeyboardInterrupt):
        status = "KILLED"
        raise
    finally:
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                if isinstance(logger, MLflowRun):
                    logger.close(status)
            if any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
                import wandb

                if wandb.run is not None:  # a start that failed has none, and asking its logger would make one
                    wandb.run.finish(exit_code=0 if status == "FINISHED" else 1)
