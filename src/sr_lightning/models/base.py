"""The LightningModule that every architecture is: training, validation and checkpoints stand once, here."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NotRequired, Self, TypedDict, Unpack

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sr_lightning.blocks import Luma
from sr_lightning.errors import CheckpointError, ConfigError, DataError, PictureError
from sr_lightning.functional import rgb_to_y
from sr_lightning.functional.precision import full_precision
from sr_lightning.metrics import Protocol
from sr_lightning.metrics.means import mean_score
from sr_lightning.tensor_files import check_archive, check_numbers, read_torch
from sr_lightning.types import Batch, Recipe
from sr_lightning.version import __version__

#: What integers are divided by.
_LEVELS = {torch.uint8: 255, torch.uint16: 65535}


class ParameterGroup(TypedDict):
    """Parameters with a learning rate of their own, relative to the optimizer's."""

    params: list[nn.Parameter]
    lr_scale: NotRequired[float]


class SuperResolutionModule(LightningModule):
    """A super-resolution network with its training recipe.

    Subclasses are one constructor each. Where a paper departs from "one loss between output and truth",
    they override ``training_losses``, ``super_resolve`` or ``parameter_groups``.

    Args:
        net: LR picture(s) ``(N, C, H, W)`` in [0, 1] to SR pictures of exactly ``scale`` times the size.
        scale: Whole factor of enlargement.
        loss: Compares SR and HR, default L1. Its method ``terms``, if it has one, names the terms of the sum.
        optimizer: Parameters to optimizer, default Adam with learning rate 1e-4.
        scheduler: Optimizer to learning-rate scheduler, stepped at every update, or by ``val/psnr`` if it waits
            for a plateau; an open argument ``total_steps`` is filled with the length of the run.
        protocol: How validation pictures are scored, default ``y_rgb8``.
    """

    #: Batch entries that ``forward`` takes, in order.
    inputs: ClassVar[tuple[str, ...]] = ("lr",)
    #: Whether one set of weights serves other scales too: ``net`` then takes ``scale=`` beside its inputs.
    multi_scale: ClassVar[bool] = False
    #: Whether ``net`` begins with a bicubic enlargement, which ``scale=1`` skips: LR may have been enlarged before.
    enlarges_first: ClassVar[bool] = False
    #: Whether ``upscale`` trains it on the picture itself when there are no weights.
    zero_shot: ClassVar[bool] = False
    #: LR pixels around an output pixel that its value depends on; None has them measured.
    halo: ClassVar[int | None] = None
    #: Whether it computes on the CPU alone.
    cpu_only: ClassVar[bool] = False
    #: Names of layers that fit one scale only: another scale begins them anew.
    scale_layers: ClassVar[tuple[str, ...]] = ("tail", "upsampler", "deconv")
    #: Layers that the published network has, and counts, but never uses.
    unused: ClassVar[tuple[str, ...]] = ()
    #: Constructor arguments that are objects, not settings; subclasses with more of them extend it.
    parts: ClassVar[tuple[str, ...]] = ("net",)

    def __init__(self, net: nn.Module, *, scale: int, **recipe: Unpack[Recipe]) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=[*self.parts, *Recipe.__annotations__])
        unknown = set(recipe) - set(Recipe.__annotations__)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(sorted(unknown))}")
        if not isinstance(scale, int) or scale < 1:
            raise ValueError(f"scale={scale} is not a whole number above 0")
        self.net = net
        self.scale = scale
        self.luma = isinstance(net, Luma)
        self.loss: nn.Module = recipe.get("loss") or nn.L1Loss()
        self.optimizer = recipe.get("optimizer") or partial(torch.optim.Adam, lr=1e-4)
        self.scheduler = recipe.get("scheduler")
        self.protocol = recipe.get("protocol") or Protocol("y_rgb8")
        self._val_scores: dict[str, list[float]] = {}

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return type(self).__name__

    @property
    def reads_mosaic(self) -> bool:
        """Whether it reads a camera's RAW file."""
        return "raw" in self.inputs

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of this: whole cells of the mosaic, which the network halves once more."""
        return 4 if self.reads_mosaic else 1

    @property
    def may_fall_back(self) -> bool:
        """Whether bicubic interpolation may stand where the network's values are no colours."""
        return self.inputs == ("lr",) and not self.zero_shot

    def forward(self, *inputs: Tensor, scale: int | None = None) -> Tensor:
        """SR pictures ``(N, C, scale * H, scale * W)`` of LR pictures ``(N, C, H, W)`` in [0, 1].

        ``scale`` is the module's own, unless the network is ``multi_scale``; networks that ``enlarges_first``
        take 1, for pictures that have been enlarged.
        """
        if self.checked_scale(scale) == self.scale:
            return self.net(*inputs)  # type: ignore[no-any-return]
        return self.net(*inputs, scale=scale)  # type: ignore[no-any-return]

    def checked_scale(self, scale: int | None) -> int:
        """The scale of a batch, which is the module's where the batch has none; refused where the network has none."""
        if scale is None or scale == self.scale:
            return self.scale
        if scale == 1 and not self.enlarges_first:
            raise ConfigError(
                f"{type(self).__name__} enlarges the picture itself, but LR already has the size of HR; "
                "give patches whose LR has not been enlarged, or choose a network such as srcnn, vdsr, drcn or drrn"
            )
        if scale != 1 and not self.multi_scale:
            raise ConfigError(f"{type(self).__name__} has weights for scale {self.scale} alone, not for {scale}")
        return scale

    def super_resolve(self, batch: Batch) -> Tensor:
        """The SR pictures of a batch, from the entries that ``inputs`` names."""
        missing = [key for key in self.inputs if key not in batch]
        if missing:
            raise DataError(
                f"{type(self).__name__} reads {', '.join(self.inputs)}, but the data give {', '.join(sorted(batch))}; "
                f"choose a data config that has {', '.join(missing)}"
            )
        self.check_channels(batch)
        inputs = [batch[key] for key in self.inputs]  # type: ignore[literal-required]
        return self(*inputs, scale=batch.get("scale"))  # type: ignore[no-any-return]

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the training loss; their sum is minimised and each is logged as ``train/<term>``."""
        if self.luma:
            batch = {**batch, "lr": _as_luma(batch["lr"]), "hr": _as_luma(batch["hr"])}
        # Losses are computed in float32 whatever precision the network ran in.
        return self.loss_terms(self.super_resolve(batch).float(), batch["hr"].float())

    def check_channels(self, batch: Batch) -> None:
        """Refuses patches of luma for a network of RGB; one on luma reads both."""
        first = next((layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d)), None)
        if first is not None and first.in_channels == 3 and batch["lr"].shape[1] == 1 and self.inputs == ("lr",):
            raise ConfigError(
                f"the patches have one channel, and {type(self).__name__} takes RGB: give patches in RGB (of grey "
                "pictures: data.channels=3), or choose a network on luma, some by model.channels=1"
            )

    def loss_terms(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """What ``loss`` makes of a pair of pictures: its named terms, where it is a sum of some."""
        terms = getattr(self.loss, "terms", None)
        return terms(sr, hr) if terms else {"loss": self.loss(sr, hr)}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Parameters for the optimizer, in groups where a paper gives layers different learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def slower(self, layer: str, lr_scale: float) -> list[ParameterGroup]:
        """Two groups: all parameters, but those under the layer of that name at ``lr_scale`` times the rate."""
        named = [(layer in name.split("."), p) for name, p in self.named_parameters() if p.requires_grad]
        if not any(slow for slow, _ in named):
            raise ValueError(f"{type(self).__name__} has no layer {layer!r}")
        return [
            {"params": [p for slow, p in named if not slow]},
            {"params": [p for slow, p in named if slow], "lr_scale": lr_scale},
        ]

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights under their authors' names -> under those of ``state_dict``.

        Here: names that are ours stay, the others are taken for names within the network. Networks whose authors
        chose other names, layouts or shapes translate them and hand the result on to this method.

        Args:
            state: Plain dictionary of a file, without wrappers and prefixes of parallel training.
        """
        ours, prefix = self.state_dict().keys(), "net.net." if self.luma else "net."
        return {name if name in ours else prefix + name: value for name, value in state.items()}

    def score(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Super-resolves one whole picture and scores it by the protocol.

        Args:
            batch: ``hr`` and, if the data set has its own low-resolution picture, ``lr``; uint8, or float in [0, 1].

        Returns:
            The SR picture ``(1, C, H, W)`` in [0, 1] and each metric's value.
        """
        try:
            return self._score(batch)
        except ValueError as error:
            raise PictureError(f"{batch['name'][0]}: cannot be scored by {self.protocol.name}: {error}") from None

    def _score(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        lr, sr, hr = self.reconstruct(batch, self.luma)
        if sr.shape[1] == hr.shape[1] or not self.protocol.network_metrics():
            return sr, self.protocol.score(sr, hr, self.scale, lr)
        # Luma was enough for the protocol, but some of its metrics compare RGB.
        colour = self.protocol.network_metrics()
        plain = tuple(metric for metric in self.protocol.metrics if metric not in colour)
        scores = replace(self.protocol, metrics=plain).score(sr, hr, self.scale, lr) if plain else {}
        _, in_rgb, hr = self.reconstruct(batch, luma=False)
        return sr, {**scores, **replace(self.protocol, metrics=colour).score(in_rgb, hr, self.scale)}

    def reconstruct(self, batch: Batch, luma: bool) -> tuple[Tensor, Tensor, Tensor]:
        """LR, SR and HR of one whole picture, prepared as the protocol says; of luma alone where it is enough."""
        lr, hr = self.protocol.prepare(batch["hr"], batch.get("lr"), self.scale, luma)
        if min(lr.shape[-2:]) < 1:
            raise PictureError(f"{batch['name'][0]}: too small for scale {self.scale}")
        parameter = next(self.parameters(), None)
        small = lr if parameter is None else lr.to(parameter)
        grey_for_rgb = lr.shape[1] == 1 and not self.luma
        with full_precision(lr):  # scores do not depend on the precision of training
            sr = self.super_resolve({**batch, "lr": small.expand(-1, 3, -1, -1) if grey_for_rgb else small})
        return lr, sr.mean(1, keepdim=True) if grey_for_rgb else sr, hr

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Training patches of 8 or 16 bit become float in [0, 1] here, on the device."""
        if not self.trainer.training:  # protocols start from the 8-bit picture itself
            return batch

        dtype = next(self.parameters()).dtype

        def as_float(value: Any) -> Any:
            levels = _LEVELS.get(value.dtype) if isinstance(value, Tensor) else None
            return value if levels is None else value.to(dtype).div_(levels)

        return {key: as_float(value) for key, value in batch.items()}  # type: ignore[return-value]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        terms = self.training_losses(batch)
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()}, batch_size=len(batch["lr"]))
        if "loss" not in terms:
            self.log("train/loss", total.detach(), batch_size=len(batch["lr"]))
        return total

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        sr, scores = self.score(batch)
        names = getattr(getattr(self.trainer, "datamodule", None), "val_names", None)
        prefix = f"val/{names[dataloader_idx]}" if names else "val"
        # Checkpoints are chosen by PSNR, whatever is reported.
        psnr = scores["psnr"] if "psnr" in scores else self._psnr(sr, batch)
        named = {f"{prefix}/{metric}_{self.protocol.suffix()}": value for metric, value in scores.items()}
        for key, value in {**named, "val/psnr": psnr}.items():
            self._val_scores.setdefault(key, []).extend(value.tolist())

    def _psnr(self, sr: Tensor, batch: Batch) -> Tensor:
        _, hr = self.protocol.prepare(batch["hr"], batch.get("lr"), self.scale, self.luma)
        return replace(self.protocol, metrics=("psnr",)).score(sr, hr, self.scale)["psnr"]

    def on_validation_epoch_end(self) -> None:
        """Logs the mean of each set, and ``val/psnr``, that of all pictures; steps schedules that wait for its plateau.

        Checkpoints are chosen by it, and written after this.
        """
        for key, values in self._val_scores.items():
            self.log(key, mean_score(values), prog_bar=key == "val/psnr")
        if "val/psnr" in self._val_scores and self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            for scheduler in self._schedulers():
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step(mean_score(self._val_scores["val/psnr"]))
        self._val_scores.clear()

    def _schedulers(self) -> list[Any]:
        schedulers: Any = self.lr_schedulers() or []
        return schedulers if isinstance(schedulers, list) else [schedulers]

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer_of(self.parameter_groups())
        if self.scheduler is None:
            return optimizer
        scheduler = self.with_total_steps(self.scheduler)(optimizer)
        how: dict[str, Any] = {"interval": "step"}
        if isinstance(scheduler, ReduceLROnPlateau):
            every = self.trainer.check_val_every_n_epoch or 1
            how = {"interval": "epoch", "frequency": every, "monitor": "val/psnr"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **how}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Lightning's, but for schedules that wait for a plateau.

        Lightning steps those after it has written ``last.ckpt``, which a resumed run would miss;
        ``on_validation_epoch_end`` steps them before.
        """
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def optimizer_of(self, groups: list[ParameterGroup]) -> Any:
        """The recipe's optimizer of these groups, each at its share of the learning rate.

        Raises:
            ConfigError: If the optimizer refuses a setting.
        """
        try:
            optimizer = self.optimizer([dict(group) for group in groups])
        except ValueError as error:
            raise ConfigError(f"optimizer: {error}") from None
        for group in optimizer.param_groups:
            group["lr"] *= group.pop("lr_scale", 1.0)
            group.setdefault("initial_lr", group["lr"])  # by which a resumed run knows that another rate was typed
        return optimizer

    def with_total_steps(self, factory: Callable[..., Any], optimizers: int = 1) -> Callable[..., Any]:
        """The scheduler factory, told the length of the run if it asks for it."""
        if "total_steps" not in _open_arguments(factory):
            return factory
        return partial(factory, total_steps=_total_steps(self.trainer, optimizers))

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Lightning's.

        Raises:
            CheckpointError: If another class wrote the checkpoint and its weights or arguments do not fit, or if it
                is not what was written, or holds NaN.
        """
        if isinstance(checkpoint_path, str | Path):
            check_archive(Path(checkpoint_path))
        try:
            return super().load_from_checkpoint(checkpoint_path, *args, **kwargs)
        except (TypeError, ValueError, RuntimeError, ConfigError):
            if not isinstance(checkpoint_path, str | Path):
                raise
            checkpoint = read_torch(checkpoint_path)
            module, _, name = str(checkpoint.get("sr_lightning", {}).get("model", "")).rpartition(".")
            if not name or (module, name) == (cls.__module__, cls.__qualname__):
                raise
            raise CheckpointError(
                f"{checkpoint_path}: written by {module}.{name}, does not fit {cls.__name__}; "
                f"use {name}.load_from_checkpoint"
            ) from None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses weights that are no numbers, in resumed runs too."""
        ours, theirs = self.state_dict(), checkpoint["state_dict"]
        fitting = {name for name, value in ours.items() if name in theirs and theirs[name].shape == value.shape}
        check_numbers("checkpoint", theirs, {name: ours[name] for name in fitting})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes which classes and release wrote the file, so that it can be recognised later."""
        cls = type(self)
        note = {"model": f"{cls.__module__}.{cls.__qualname__}", "version": __version__}
        checkpoint["sr_lightning"] = note | (recipe_classes(self._trainer) if self._trainer else {})


def recipe_classes(trainer: Any) -> dict[str, list[str]]:
    """Names of the classes of a trainer's optimizers and schedules, whose state only objects of the same class read."""
    return {
        "optimizer": [type(optimizer).__name__ for optimizer in trainer.optimizers],
        "scheduler": [type(config.scheduler).__name__.lstrip("_") for config in trainer.lr_scheduler_configs],
    }


def _total_steps(trainer: Any, optimizers: int = 1) -> int:
    """Updates of each optimizer in the whole run; ``max_steps`` counts those of all.

    Lightning's own estimate would make the training loader before a resumed run has told it where to go on.
    """
    by_steps = math.ceil(trainer.max_steps / optimizers) if trainer.max_steps >= 0 else math.inf
    batches = getattr(trainer.datamodule, "batches_per_epoch", None)
    if batches is None:
        by_epochs = trainer.estimated_stepping_batches
    else:
        limit, epochs = trainer.limit_train_batches, trainer.max_epochs or -1
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        by_epochs = math.ceil(batches / trainer.accumulate_grad_batches) * epochs if epochs >= 0 else math.inf
    total = min(by_epochs, by_steps)
    if math.isinf(total):
        raise ConfigError("scheduler: its length is open; set trainer.max_epochs or trainer.max_steps")
    return int(total)


def _as_luma(image: Tensor) -> Tensor:
    return rgb_to_y(image) if image.shape[1] == 3 else image


def _open_arguments(factory: Any) -> set[str]:
    """Arguments of a (partial) callable that nobody has set."""
    given = factory.keywords if isinstance(factory, partial) else {}
    return set(inspect.signature(factory).parameters) - set(given)
