"""The steps of a run that several commands share: objects from configs, checkpoints, closing report."""

import errno
import logging
import pickle
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ProgressBar
from omegaconf import DictConfig, OmegaConf

from sr_lightning.config import build
from sr_lightning.errors import CheckpointError, ConfigError, SRError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.bicubic import Bicubic
from sr_lightning.scoring import (
    Scores,
    count_macs,
    count_parameters,
    markdown,
    record,
    score_rows,
    score_sets,
    write_json,
)

#: Warnings about what is meant to be so.
EXPECTED = (
    "does not have many workers",  # patches are memory copies
    "have overridden `on_after_batch_transfer` in `LightningModule`",
    "is smaller than the logging interval",
    "exists and is not empty",
    "treespec, LeafSpec",  # of torch and Lightning among themselves
)


def start(cfg: DictConfig, folder: Path) -> None:
    """Seeds everything, quietens the libraries and writes the resolved config."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for known in EXPECTED:
        warnings.filterwarnings("ignore", f".*{known}.*")
    seed_everything(cfg.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)


def build_model(cfg: DictConfig) -> SuperResolutionModule:
    """The network with its training recipe."""
    recipe = {part: build(cfg.get(part)) for part in ("loss", "optimizer", "scheduler", "protocol")}
    model = build(cfg.model, **recipe)
    if not isinstance(model, SuperResolutionModule):
        raise ConfigError(f"model._target_={cfg.model._target_} is no SuperResolutionModule")
    return model


def build_trainer(cfg: DictConfig, folder: Path) -> Trainer:
    """Lightning's trainer with the callbacks and loggers of the config."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping and cfg.trainer.get("strategy") == "ddp":
        raise ConfigError(
            "trainer.strategy=ddp starts processes that would each run the whole sweep; "
            "use trainer.strategy=ddp_spawn with --multirun"
        )
    callbacks = [build(part) for part in (cfg.get("callbacks") or {}).values() if part]
    loggers = [build(part) for part in (cfg.get("logger") or {}).values() if part]
    # Lightning refuses callbacks that would have nothing to do.
    idle = (() if cfg.trainer.get("enable_progress_bar", True) else (ProgressBar,)) + (
        () if loggers else (LearningRateMonitor,)
    )
    callbacks = [callback for callback in callbacks if not isinstance(callback, idle)]
    try:
        trainer: Trainer = build(
            cfg.trainer, callbacks=callbacks, logger=loggers or False, default_root_dir=str(folder)
        )
    except (MisconfigurationException, RuntimeError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
    return trainer


def fit(
    trainer: Trainer, model: SuperResolutionModule, data: LightningDataModule, ckpt_path: str | None, folder: Path
) -> float:
    """Trains, from a checkpoint's state if one is given; the seconds it took."""
    if not count_parameters(model):
        raise ConfigError(f"{type(model).__name__} has no parameters to train; use python -m sr_lightning.evaluate")
    if ckpt_path:
        check_checkpoint(Path(ckpt_path), model)
    begin = time.perf_counter()
    try:
        trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SRError(
            f"{folder}: the disk is full; checkpoints written before are whole, go on from them with "
            f"ckpt_path={folder}/checkpoints/last.ckpt when there is space"
        ) from None
    return time.perf_counter() - begin


def report(
    cfg: DictConfig,
    trainer: Trainer,
    model: SuperResolutionModule,
    data: LightningDataModule,
    seconds: float,
    folder: Path,
) -> dict[str, float]:
    """Scores the best weights beside bicubic, prints the table and writes ``results.json``."""
    if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
        return {}
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best:
        load_weights(model, Path(best))
    device = trainer.strategy.root_device
    scores = score_sets(model, data, device=device)
    baseline = score_sets(Bicubic(model.scale, protocol=model.protocol), data, device=device)
    result = {
        **record(model, cfg.name, scores),
        "bicubic": baseline,
        "macs_720p": count_macs(model),
        "seconds": round(seconds, 1),
        "seed": cfg.seed,
        "steps": trainer.global_step,
        "checkpoint": best,
    }
    write_json(folder / "results.json", result)
    print(markdown([*score_rows("bicubic", baseline), *score_rows(cfg.name, scores)]))
    print(f"protocol {model.protocol.name}, scale {model.scale}, {seconds:.0f} s; everything is in {shown(folder)}")
    return {**_overall(scores), **{f"bicubic_{k}": v for k, v in _overall(baseline).items()}}


def shown(folder: Path) -> Path:
    """A folder as a user would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _overall(scores: Scores) -> dict[str, float]:
    from sr_lightning.metrics import mean_scores

    return mean_scores({f"{s}/{n}": v for s, values in scores.items() for n, v in values["images"].items()})


def load_weights(model: SuperResolutionModule, path: Path) -> None:
    """Loads the weights of a checkpoint of the same network.

    Raises:
        CheckpointError: If the file is missing or damaged, or of another scale or network.
    """
    checkpoint = check_checkpoint(path, model)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        written_by = checkpoint.get("sr_lightning", {}).get("model", "an unknown class")
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise CheckpointError(
            f"{path}: written by {written_by}, does not fit {type(model).__name__} as configured: "
            f"{' '.join(lines)[:300]}"
        ) from None


def check_checkpoint(path: Path, model: SuperResolutionModule) -> dict[str, Any]:
    """Reads a checkpoint without running any code in it, and checks its scale."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path}: holds more than weights and plain values, or is damaged; not loaded") from None
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise CheckpointError(f"{path}: damaged or cut short ({reason})") from None
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path}: no checkpoint of this library (it has no state_dict)")
    scale = checkpoint.get("hyper_parameters", {}).get("scale", model.scale)
    if scale != model.scale and not model.multi_scale:
        raise CheckpointError(
            f"{path}: trained for scale {scale}, but scale={model.scale} is asked for; set scale={scale}"
        )
    return checkpoint
