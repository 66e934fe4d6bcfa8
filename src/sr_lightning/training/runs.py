"""The steps of a run that several commands share: objects from configs, checkpoints, closing report."""

import logging
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ProgressBar
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.trainer.connectors import checkpoint_connector
from omegaconf import DictConfig, OmegaConf
from pydantic import Field, NonNegativeInt
from torch import nn

from sr_lightning.atomic import remove_leftovers
from sr_lightning.cli.sweep_jobs import is_run_of_sweep
from sr_lightning.config import CONF_DIR, build
from sr_lightning.config.devices import warn_of_emulation
from sr_lightning.errors import FULL_DISK, UNUSABLE_PLACE, CheckpointError, ConfigError, NothingToDo, SRError
from sr_lightning.evaluation.scoring import (
    Scores,
    count_parameters,
    markdown,
    protocol_line,
    record,
    score_rows,
    score_sets,
    write_json,
)
from sr_lightning.inference.memory import is_out_of_memory
from sr_lightning.limits import check_value
from sr_lightning.metrics import Protocol
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.bicubic import baseline_of
from sr_lightning.models.fine_tuning import FineTuning
from sr_lightning.training.budget import TimeBudget, minutes_to_train
from sr_lightning.training.callbacks import (
    AveragedPicture,
    Measurements,
    Pruning,
    RecipeCheck,
    SamplePictures,
    SettingsRecord,
    StopAtSignal,
    resume_hint,
)
from sr_lightning.training.checkpoint_files import AtomicCheckpointIO
from sr_lightning.training.hardware import freed_memory_kept, trainer_settings
from sr_lightning.training.parts import parts_of
from sr_lightning.training.processes import batch_of_all, lost_process
from sr_lightning.training.run_folders import LAST, SETTINGS, backup_existing
from sr_lightning.training.tracking import begin_before_processes, build_loggers, log_table
from sr_lightning.weights.checkpoints import check_checkpoint, damaged
from sr_lightning.weights.load import load_weights

_DATALOADER = "torch.utils.data.dataloader"

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


def start(cfg: DictConfig) -> None:
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
        check_value(f"layer_rates.{layer}", rate, Annotated[float, Field(gt=0, allow_inf_nan=False)])
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


def fit(
    trainer: Trainer, model: SuperResolutionModule, data: LightningDataModule, ckpt_path: str | None, folder: Path
) -> float:
    """Trains, from a checkpoint's state if one is given.

    Returns:
        The seconds it took.
    """
    if not count_parameters(model):
        raise ConfigError(f"{type(model).__name__} has no parameters to train; use python -m sr_lightning.evaluate")
    if getattr(data, "scale_range", None) and not model.any_scale:
        raise ConfigError(
            f"data.scales: a range of scales is for networks of any scale, such as model=liif; {type(model).__name__} "
            "needs a list, or null"
        )
    scales = getattr(data, "scales", None)
    if scales and not model.multi_scale:
        raise ConfigError(
            f"data.scales={scales}: {type(model).__name__} has weights for one scale; "
            "choose a network that serves several, or set data.scales=null"
        )
    if ckpt_path:
        checkpoint = check_checkpoint(Path(ckpt_path), model)
        TimeBudget.of(trainer).resume(trainer, checkpoint)
        # A run of a sweep that was killed after its last step has to be scored.
        if not (is_run_of_sweep() and Path(ckpt_path).is_relative_to(folder)):
            _check_there_is_more_to_do(Path(ckpt_path), checkpoint, trainer)
        if isinstance(io := trainer.strategy.checkpoint_io, AtomicCheckpointIO):
            io.checked = Path(ckpt_path), checkpoint
        del checkpoint  # it is large, and training takes long
    trainer.callbacks.append(RecipeCheck())  # type: ignore[attr-defined]
    if has_unused_parameters(model):  # plain DDP waits for the gradient of every parameter
        getattr(trainer.strategy, "_ddp_kwargs", {}).setdefault("find_unused_parameters", True)
    stop = StopAtSignal(folder / "checkpoints")
    trainer.callbacks.append(stop)  # type: ignore[attr-defined]  # the last: it saves what all others have done
    if trainer.is_global_zero and (line := batch_of_all(trainer, data)):
        print(line, file=sys.stderr)
    begin = time.perf_counter()
    earlier = _earlier_run_backed_up(folder, ckpt_path) if trainer.is_global_zero else nullcontext()
    try:
        with (
            earlier,
            stop.listening(),
            kill_peers_on_error(trainer),
            _state_errors_explained(ckpt_path),
            freed_memory_kept(),
        ):
            trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OSError as error:
        hint = resume_hint(folder / "checkpoints")
        if isinstance(error, ConnectionError) and any(module == _DATALOADER for module, _ in _calls(error)):
            raise _worker_lost(folder) from None
        if error.errno in FULL_DISK:
            raise SRError(f"{folder}: the disk is full; free space, then {hint}") from None
        if error.errno not in UNUSABLE_PLACE:
            raise
        raise SRError(f"{error.filename or folder}: cannot be used ({error.strerror}); fix that, then {hint}") from None
    except (RuntimeError, MemoryError) as error:
        if stop.signum is not None and "DataLoader worker" in str(error):  # the signal of a batch system ends it too
            raise stop.ended(trainer) from None
        if "DataLoader worker (pid" in str(error):  # not "process", which tells an error of its own
            raise _worker_lost(folder) from None
        if lost := lost_process(error, trainer, folder):
            raise lost from None
        if not is_out_of_memory(error):
            raise
        raise SRError(
            "there is not enough memory for a training step; lower data.batch_size or data.patch_size, "
            f"then {resume_hint(folder / 'checkpoints')}"
        ) from None
    except SystemExit as end:  # Lightning's answer to an interrupt
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        raise stop.ended(trainer) from None
    return time.perf_counter() - begin


def _calls(error: BaseException) -> list[tuple[str, str]]:
    """The modules and names of the functions that the error went through."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [(str(frame.f_globals.get("__name__")), frame.f_code.co_name) for frame in frames]


def _worker_lost(folder: Path) -> SRError:
    return SRError(
        "a process that loads pictures was killed, usually because memory was full; "
        f"lower data.num_workers, then {resume_hint(folder / 'checkpoints')}"
    )


def _check_there_is_more_to_do(path: Path, checkpoint: dict[str, Any], trainer: Trainer) -> None:
    if "optimizer_states" not in checkpoint:
        raise CheckpointError(f"{path}: holds only weights; start from them with init_from={path}")
    try:
        at_end = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"]
        epochs, steps = checkpoint["epoch"] + at_end, checkpoint["global_step"]
    except (KeyError, TypeError):
        raise damaged(path, "it does not say how far its run got") from None
    for name, state in checkpoint.get("callbacks", {}).items():
        if not (isinstance(state, dict) and state):  # Lightning writes no empty ones, and passes over them
            raise damaged(path, f"the state of {name.partition('{')[0]} is missing")
    for done, end, unit, key in (
        (epochs, trainer.max_epochs, "epoch", "epochs"),
        (steps, trainer.max_steps, "step", "trainer.max_steps"),
    ):
        if end is not None and end >= 0 and done >= end:
            raise NothingToDo(f"{path}: already at {unit} {done} of {end}; to train longer, type {key}={2 * done}")


@contextmanager
def _state_errors_explained(ckpt_path: str | None) -> Iterator[None]:
    """Turns any error of Lightning and torch while they restore a run's state into one sentence."""
    try:
        yield
    except (SRError, OSError):
        raise
    except Exception as error:
        taking = any(
            module == RecipeCheck.__module__
            or (module == checkpoint_connector.__name__ and "restore" in function)
            or function == "_load_combined_loader_states"  # of Lightning's loop
            for module, function in _calls(error)
        )
        if ckpt_path is None or not taking or is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise damaged(ckpt_path, f"the state of its run cannot be restored ({reason})") from error


@contextmanager
def _earlier_run_backed_up(folder: Path, ckpt_path: str | None) -> Iterator[None]:
    """Renames the files of an earlier run in the folder, and its checkpoints unless this run goes on from one of them.

    All of it gets one number, so that checkpoints can be told whose they are. It is put back if this run does not
    begin, which is when it writes its settings.
    """
    names = [SETTINGS, "metrics.csv", "results.json"]
    if not (ckpt_path and Path(ckpt_path).resolve().is_relative_to((folder / "checkpoints").resolve())):
        names.append("checkpoints")
    _sweep_leftovers(folder, ckpt_path)
    before = _written(folder / SETTINGS)
    renamed = backup_existing(folder, names)
    try:
        yield
    except BaseException:
        if _written(folder / SETTINGS) == before:
            for path, aside in renamed.items():
                aside.replace(path)
        raise


def _sweep_leftovers(folder: Path, ckpt_path: str | None) -> None:
    """Removes what killed runs left in the folder, and in that of the run which is resumed."""
    of_checkpoint = [Path(ckpt_path).parent, Path(ckpt_path).parent.parent] if ckpt_path else []
    for place in (folder, folder / "checkpoints", *of_checkpoint[:1]):
        remove_leftovers(place)
    if of_checkpoint and (of_checkpoint[1] / SETTINGS).exists():
        remove_leftovers(of_checkpoint[1])


def _written(path: Path) -> tuple[int, int] | None:
    """Inode and time of change: they differ when the file is written again."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def has_unused_parameters(model: SuperResolutionModule) -> bool:
    """Whether there are parameters that some training step gives no gradient to."""
    per_scale = model.multi_scale and any(isinstance(m, nn.ModuleDict) and len(m) > 1 for m in model.net.modules())
    return per_scale or bool(model.unused) or not model.automatic_optimization


@contextmanager
def kill_peers_on_error(trainer: Trainer) -> Iterator[None]:
    """Kills the other processes of a distributed run if the first one fails.

    Otherwise they would wait for it, or report that they lost their connection.
    """
    try:
        yield
    except BaseException:
        for process in getattr(trainer.strategy.launcher, "procs", []):
            process.kill()
        raise


def report(
    cfg: DictConfig,
    trainer: Trainer,
    model: SuperResolutionModule,
    data: LightningDataModule,
    seconds: float,
    folder: Path,
) -> dict[str, float]:
    """Scores the best weights and bicubic, prints the table and writes ``results.json``."""
    if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
        return {}
    if isinstance(trainer.strategy, FSDPStrategy):  # each process has a part of the weights
        model = build_model(cfg)
        load_weights(model, folder / LAST)
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best and Path(best).is_file():  # it is not where a resumed run's folder was moved away
        load_weights(model, Path(best))
    if not data.val_sets:  # type: ignore[attr-defined]  # spawned processes had them, this one did not
        data.setup("validate")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, SamplePictures):
            callback.save(trainer, model, data)
    device = trainer.strategy.root_device
    scores = score_sets(model, data, device=device)
    baseline = score_sets(baseline_of(model, protocol=model.protocol), data, device=device)
    degradation = getattr(data, "degradation", None)
    result = {
        **record(model, cfg.name, scores, degradation),
        "bicubic": baseline,
        "seconds": round(seconds, 1),
        "seed": cfg.seed,
        "steps": trainer.global_step,
        "checkpoint": best,
    }
    if any(isinstance(callback, Pruning) and callback.pruned for callback in trainer.callbacks):  # type: ignore[attr-defined]
        result["pruned"] = True
    write_json(folder / "results.json", result)
    rows = [*score_rows("bicubic", baseline), *score_rows(cfg.name, scores)]
    log_table(trainer, rows)
    none = "there are no validation pictures, so there are no scores and no best.ckpt; the weights are in last.ckpt"
    print(markdown(rows) if rows else none)
    took = f"{seconds:.0f} s{TimeBudget.of(trainer).told()}"
    print(f"{protocol_line(model, degradation)}, {took}; everything is in {short_path(folder)}")
    return {**_overall(scores), **{f"bicubic_{k}": v for k, v in _overall(baseline).items()}}


def short_path(folder: Path) -> Path:
    """A folder as a user would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _overall(scores: Scores) -> dict[str, float]:
    from sr_lightning.metrics import mean_scores

    return mean_scores({f"{s}/{n}": v for s, values in scores.items() for n, v in values["images"].items()})
