"""What a run is made of: network, protocol and trainer, from its config."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ProgressBar
from omegaconf import DictConfig, OmegaConf
from pydantic import NonNegativeInt, PositiveFloat

from sr_lightning.config import CONF_DIR, build
from sr_lightning.config.devices import warn_of_emulation
from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_value
from sr_lightning.metrics import Protocol
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.fine_tuning import FineTuning
from sr_lightning.training.budget import TimeBudget, minutes_to_train
from sr_lightning.training.callbacks import AveragedPicture, Measurements, Pruning, SettingsRecord
from sr_lightning.training.checkpoint_files import AtomicCheckpointIO
from sr_lightning.training.hardware import trainer_settings
from sr_lightning.training.parts import parts_of
from sr_lightning.training.tracking import begin_before_processes, build_loggers

#: Warnings about what is intended.
EXPECTED = (
    "does not have many workers",  # patches are memory copies
    "have overridden `on_after_batch_transfer` in `LightningModule`",
    "have overridden `transfer_batch_to_device` in `LightningModule`",
    "`srun` command is available",  # not every run on such a machine is SLURM's
    "is smaller than the logging interval",
    "exists and is not empty",
    "recommended to use `self.log",  # every process scores all validation pictures
    "The dirpath has changed from",  # a run goes on in a folder of its own
    "treespec, LeafSpec",  # of torch and Lightning among themselves
    "could not find the monitored key",  # without validation; the report says what that means
    "Total length of `list` across ranks is zero",  # the same
)


def prepare_run(cfg: DictConfig) -> None:
    """Seeds all random numbers and silences the libraries."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for known in EXPECTED:
        warnings.filterwarnings("ignore", f".*{known}.*")
    if not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**32:
        raise ConfigError(f"seed={cfg.seed}: must be a whole number from 0 to 4294967295")
    if OmegaConf.is_config(cfg.name):
        raise ConfigError(f"name={cfg.name}: must be a word")
    if cfg.get("degradation") and not cfg.data.get("degradation"):
        raise ConfigError(
            "degradation is not passed on to the data; add degradation: ${oc.select:degradation,null} to their config"
        )
    seed_everything(cfg.seed, workers=True, verbose=False)


def build_model(cfg: DictConfig) -> SuperResolutionModule:
    """The network with its training recipe."""
    recipe = {part: build(cfg.get(part)) for part in ("loss", "optimizer", "scheduler")}
    recipe["protocol"] = build_protocol(cfg)
    model = build(cfg.model, **recipe)
    if not isinstance(model, SuperResolutionModule):
        raise ConfigError(f"model._target_={cfg.model._target_} is not a SuperResolutionModule")
    return model


def fine_tuning(cfg: DictConfig) -> FineTuning:
    """What the config says of frozen layers, learning rates by layer, and a warm-up.

    Raises:
        ConfigError: If a value cannot be.
    """
    freeze: Any = OmegaConf.to_object(cfg.freeze) if OmegaConf.is_config(cfg.freeze) else cfg.freeze or []
    freeze = [freeze] if isinstance(freeze, str) else freeze
    rates: Any = OmegaConf.to_object(cfg.layer_rates) if OmegaConf.is_config(cfg.layer_rates) else cfg.layer_rates or {}
    if not isinstance(freeze, list) or not all(isinstance(name, str) for name in freeze):
        raise ConfigError(f"freeze={cfg.freeze}: must be names of layers, such as [head,body]")
    if not isinstance(rates, dict):
        raise ConfigError(f"layer_rates={cfg.layer_rates}: must be layers and numbers, such as {{body: 0.1}}")
    for layer, rate in rates.items():
        check_value(f"layer_rates.{layer}", rate, PositiveFloat)
    check_value("warmup", cfg.warmup, NonNegativeInt)
    return FineTuning(freeze=tuple(freeze), layer_rates=rates, warmup=cfg.warmup)


def build_protocol(cfg: DictConfig) -> Protocol:
    """The protocol. If it differs from the file of its name, its name says so."""
    protocol: Protocol = build(cfg.protocol)
    if (CONF_DIR / "protocol" / f"{protocol.name}.yaml").is_file():
        free = {field: getattr(protocol, field) for field in ("metrics", "lpips_weights", "dists_weights")}
        same = replace(build(_protocol_file(protocol.name)), **free)
        if same != protocol:
            return replace(protocol, name=f"{protocol.name} (changed)")
    return protocol


def _protocol_file(name: str) -> Any:
    """A protocol's file over those that it builds on."""
    cfg: Any = OmegaConf.load(CONF_DIR / "protocol" / f"{name}.yaml")
    return OmegaConf.merge(*map(_protocol_file, cfg.pop("defaults", [])), cfg)


def build_trainer(cfg: DictConfig, folder: Path) -> Trainer:
    """Lightning's trainer with the callbacks and loggers of the config."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping and cfg.trainer.get("strategy") == "ddp":
        raise ConfigError(
            "trainer.strategy=ddp starts processes that would each run the whole sweep; type "
            "trainer.strategy=ddp_spawn, or hydra/launcher=joblib, whose runs have processes of their own"
        )
    callbacks = [build(part) for part in parts_of(cfg, "callbacks")]
    callbacks += [AveragedPicture(), SettingsRecord(cfg, folder), TimeBudget(minutes_to_train(cfg)), Pruning(folder)]
    callbacks.sort(key=lambda callback: not isinstance(callback, Measurements))  # before any that clips or skips
    loggers = build_loggers(cfg, folder)
    # Lightning refuses callbacks that would have nothing to do.
    idle = (() if cfg.trainer.get("enable_progress_bar", True) else (ProgressBar,)) + (
        () if loggers else (LearningRateMonitor, Measurements)
    )
    callbacks = [callback for callback in callbacks if not isinstance(callback, idle)]
    try:
        trainer: Trainer = build(
            trainer_settings(cfg.trainer),
            callbacks=callbacks,
            logger=loggers or False,
            plugins=[*map(build, cfg.trainer.get("plugins") or ()), AtomicCheckpointIO()],
            default_root_dir=str(folder),
        )
    except (MisconfigurationException, RuntimeError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
    begin_before_processes(trainer)
    warn_of_emulation("trainer.precision", str(cfg.trainer.get("precision")), trainer.strategy.root_device.type)
    return trainer
