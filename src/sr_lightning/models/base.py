"""The LightningModule of every network. It trains, validates, and reads and writes checkpoints."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sr_lightning.blocks import BranchedConv, Luma
from sr_lightning.blocks.reparameterization import merged_state
from sr_lightning.devices import has_float64, moved
from sr_lightning.errors import CheckpointError, ConfigError, DataError, refusals_told
from sr_lightning.functional import rgb_to_y
from sr_lightning.metrics import Protocol
from sr_lightning.metrics.means import mean_score
from sr_lightning.models import scoring
from sr_lightning.models.arguments import check_known, declared_arguments, network
from sr_lightning.models.fine_tuning import FineTuning
from sr_lightning.models.fine_tuning import ParameterGroup as ParameterGroup
from sr_lightning.models.foundation import Foundation, may_stay_plain, stand_on_lightning
from sr_lightning.models.layouts import Layers, Layout, contradicted
from sr_lightning.models.schedule import open_arguments, total_steps
from sr_lightning.tensor_files import check_archive, check_numbers, read_torch
from sr_lightning.types import Batch, Recipe
from sr_lightning.version import __version__

#: What integers are divided by.
_LEVELS = {torch.uint8: 255, torch.uint16: 65535}


@network
class SuperResolutionModule(Foundation):
    """A super-resolution network with its training recipe.

    A subclass with ``@network`` declares its arguments and overrides ``build_net``. A subclass without it has a
    constructor of its own, which calls this one. A paper with more than one loss between output and truth overrides
    ``training_losses``, ``super_resolve`` or ``parameter_groups``.

    Args:
        net: LR picture(s) ``(N, C, H, W)`` in [0, 1] to SR pictures of exactly ``scale`` times the size.
        scale: Whole factor of enlargement.
        loss: Compares SR and HR, default L1. An optional method ``terms`` names the terms of the sum.
        optimizer: Makes the optimizer of parameters, default Adam with learning rate 1e-4.
        scheduler: Makes the learning-rate scheduler of an optimizer. It is stepped at every update, or by ``val/psnr``
            if it waits for a plateau. An open argument ``total_steps`` gets the length of the run.
        protocol: How validation pictures are scored, default ``y_rgb8``.
    """

    #: Batch entries that ``forward`` takes, in order.
    inputs: ClassVar[tuple[str, ...]] = ("lr",)
    #: Whether one set of weights serves several scales. ``net`` then takes ``scale=`` too.
    multi_scale: ClassVar[bool] = False
    #: Whether it serves every scale, also those that are no whole numbers, as ``LIIF`` does.
    any_scale: ClassVar[bool] = False
    #: Whether it reads and gives packed mosaics of four channels in place of pictures.
    packed: ClassVar[bool] = False
    #: Whether ``scale`` is a whole number.
    whole_scales: ClassVar[bool] = True
    #: The layers of ``net`` besides its method ``features``, which another tail may take the place of.
    after_features: ClassVar[tuple[str, ...]] = ()
    #: Whether ``net`` begins with a bicubic enlargement. ``scale=1`` skips it, for LR that is enlarged already.
    enlarges_first: ClassVar[bool] = False
    #: Whether ``upscale`` trains it on the picture itself when there are no weights.
    zero_shot: ClassVar[bool] = False
    #: An output pixel depends on the LR pixels within this distance. None means that it is measured.
    halo: ClassVar[int | None] = None
    #: Whether it looks at the whole picture, or farther than pays. Tiles then see some of it and are blended. False
    #: means that it is measured, where ``halo`` is None.
    looks_everywhere: ClassVar[bool] = False
    #: Whether it computes on the CPU alone.
    cpu_only: ClassVar[bool] = False
    #: Names of layers that fit one scale. Training for another scale initialises them again.
    scale_layers: ClassVar[tuple[str, ...]] = ("tail", "upsampler", "deconv")
    #: Layers of the published network that its output does not depend on.
    unused: ClassVar[tuple[str, ...]] = ()
    #: Constructor arguments that are no settings. Checkpoints do not record them.
    parts: ClassVar[tuple[str, ...]] = ("net",)
    #: How other projects name its weights.
    layouts: ClassVar[tuple[Layout, ...]] = ()
    #: Arguments that files of earlier releases lack, and what they were then.
    earlier_defaults: ClassVar[Mapping[str, Any]] = {}
    #: Arguments that leave no trace in the shapes of the weights, and their usual values.
    untraced: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    scale: int
    if TYPE_CHECKING:  # Type checkers learn here that every constructor takes the parts of a ``Recipe``.
        loss: nn.Module = nn.L1Loss()
        optimizer: Callable[..., Any] = torch.optim.Adam
        scheduler: Callable[..., Any] | None = None
        protocol: Protocol = Protocol("y_rgb8")

    def __init__(self, net: nn.Module, *, scale: int, **recipe: Unpack[Recipe]) -> None:
        declared = declared_arguments(self)
        if not declared or not may_stay_plain():  # Lightning finds arguments that are not declared
            stand_on_lightning()
        super().__init__()
        self.save_hyperparameters(*declared, ignore=[*self.parts, *Recipe.__annotations__])
        check_known(type(self), recipe, Recipe.__annotations__)
        self.refuse_scale(scale)
        if any(module is self for module in net.modules()):
            raise TypeError(f"{type(net).__name__} keeps its args, which hold the network; copy the values instead")
        self.net = net
        self.scale = scale
        self.luma = isinstance(net, Luma)
        self.loss: nn.Module = recipe.get("loss") or nn.L1Loss()
        self.optimizer = recipe.get("optimizer") or partial(torch.optim.Adam, lr=1e-4)
        self.scheduler = recipe.get("scheduler")
        self.protocol = recipe.get("protocol") or Protocol("y_rgb8")
        self.fine_tuning = FineTuning()
        #: Further terms of the training loss, from a teacher.
        self.imitation: Callable[[], dict[str, Tensor]] | None = None
        #: What trains it against ``self.discriminator``, if anything does.
        self.adversary: Any = None
        #: Hears which SR and HR are compared, by a loss or a protocol.
        self.on_comparison: Callable[[Tensor, Tensor], None] | None = None
        self._val_scores: dict[str, list[float]] = {}

    def refuse_scale(self, scale: Any) -> None:
        """Raises ConfigError for a scale that the network cannot have."""
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        if not number or not 1 <= scale < inf:
            raise ConfigError(f"scale={scale}: must be a {'whole ' if self.whole_scales else ''}number, 1 or more")
        if self.whole_scales and isinstance(scale, float):
            cure = f"type {int(scale)}" if scale.is_integer() else "model=liif takes any"
            raise ConfigError(f"scale={scale}: {type(self).__name__} needs a whole number; {cure}")

    def build_net(self) -> nn.Module:
        """Makes the network. The arguments are attributes of this object, but layers cannot be yet."""
        raise NotImplementedError(f"{type(self).__name__} has no build_net, which makes its network")

    def assemble(self, **recipe: Unpack[Recipe]) -> None:
        """Calls the constructor of the base class with the result of ``build_net``."""
        self.refuse_scale(self.scale)
        SuperResolutionModule.__init__(self, self.build_net(), scale=self.scale, **recipe)

    @property
    def title(self) -> str:
        """The name of the network in messages."""
        return type(self).__name__

    @property
    def reads_mosaic(self) -> bool:
        """Whether it reads a camera's RAW file."""
        return "raw" in self.inputs

    @property
    def automatic_optimization(self) -> bool:
        """Whether Lightning makes the steps, as it does without a discriminator."""
        return self.adversary is None and super().automatic_optimization

    @automatic_optimization.setter
    def automatic_optimization(self, value: bool) -> None:
        self._automatic_optimization = value

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of this.

        A network of mosaics halves cells of 2x2 pixels once more. Attention has the windows of the whole picture.
        """
        return 4 if self.reads_mosaic else int(getattr(self, "window", 1))

    @property
    def may_fall_back(self) -> bool:
        """Whether bicubic interpolation may replace values that are no colours."""
        return self.inputs == ("lr",) and not self.zero_shot and not self.packed

    def forward(self, *inputs: Tensor, scale: int | None = None) -> Tensor:
        """SR pictures ``(N, C, scale * H, scale * W)`` of LR pictures ``(N, C, H, W)`` in [0, 1].

        ``scale`` defaults to the module's. A network that is ``multi_scale`` takes others, and one that
        ``enlarges_first`` takes 1 for pictures that are enlarged already.
        """
        if self.checked_scale(scale) == self.scale:
            return self.net(*inputs)  # type: ignore[no-any-return]
        return self.net(*inputs, scale=scale)  # type: ignore[no-any-return]

    def checked_scale(self, scale: int | None) -> int:
        """The scale of a batch, or the module's if the batch has none.

        Raises:
            ConfigError: If the network cannot enlarge by it.
        """
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
        return self.loss_terms(*self.pictures(batch))

    def pictures(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The SR and HR pictures of a batch, as a loss compares them."""
        if self.luma:
            batch = {**batch, "lr": _as_luma(batch["lr"]), "hr": _as_luma(batch["hr"])}
        # Losses are computed in float32 whatever precision the network ran in.
        return self.super_resolve(batch).float(), batch["hr"].float()

    def check_channels(self, batch: Batch) -> None:
        """Raises ConfigError for pictures that the network does not take. A network on luma takes RGB, too."""
        channels = batch["lr"].shape[1]
        if self.packed and channels != 4:
            raise ConfigError(
                f"{type(self).__name__} reads packed mosaics of four channels, and the pictures have {channels}; "
                "choose data=raw_sr, or a network for pictures"
            )
        first = next((layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d)), None)
        if first is not None and first.in_channels < 4 == channels and self.inputs == ("lr",):
            raise ConfigError(
                f"the data are packed mosaics, and {type(self).__name__} takes pictures: choose model=packed_naf, "
                "packed_rcan or packed_bicubic"
            )
        if first is not None and first.in_channels == 3 and batch["lr"].shape[1] == 1 and self.inputs == ("lr",):
            raise ConfigError(
                f"the patches have one channel, and {type(self).__name__} takes RGB: give patches in RGB (of grey "
                "pictures: data.channels=3), or choose a network on luma, some by model.channels=1"
            )

    def loss_terms(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """The named terms of the loss between SR and HR; the only term of a plain loss is ``loss``."""
        if self.on_comparison is not None:
            self.on_comparison(sr, hr)
        terms = getattr(self.loss, "terms", None)
        return terms(sr, hr) if terms else {"loss": self.loss(sr, hr)}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Parameters for the optimizer, in groups where a paper gives layers different learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def slower(self, layer: str, lr_scale: float) -> list[ParameterGroup]:
        """Two groups: the parameters of the named layer at ``lr_scale`` times the rate, and all others before them."""
        if not any(layer in name.split(".") for name, _ in self.named_parameters()):
            raise ValueError(f"{type(self).__name__} has no layer {layer!r}")
        named = [(layer in name.split("."), p) for name, p in self.named_parameters() if p.requires_grad]
        groups: list[ParameterGroup] = [
            {"params": [p for slow, p in named if not slow]},
            {"params": [p for slow, p in named if slow], "lr_scale": lr_scale},
        ]
        return [group for group in groups if group["params"]]

    def merged(self) -> "SuperResolutionModule":
        """The network that computes the same with fewer layers, for use after training; itself if it has none to merge.

        Convolutions with branches become single ones; the network then has the argument ``branches``.
        """
        if not any(isinstance(layer, BranchedConv) for layer in self.modules()):
            return self
        plain = type(self)(**{**self.hparams, "branches": False}, protocol=self.protocol)  # type: ignore[arg-type]
        plain.net.load_state_dict(merged_state(self.net.state_dict()))
        return plain.to(self.device).train(self.training)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        """The arguments of the network whose weights have such names, without the prefix of ``net``, and shapes.

        Raises:
            KeyError: If they are of another network.
        """
        raise KeyError(cls.__name__)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights under the names of one of its ``layouts`` -> under those of ``state_dict``.

        Other names stay, and get the prefix of the network where they lack it.

        Args:
            state: Plain dictionary of a file, without wrappers and prefixes of parallel training.

        Raises:
            CheckpointError: If the file has constants that this network has not.
        """
        ours, prefix = self.state_dict().keys(), "net.net." if self.luma else "net."
        for layout in self.layouts:
            if (translated := layout.to_ours(state)) is not None:
                self.check_constants(layout.arguments_in(state))
                state = translated
                break
        return {name if name in ours else prefix + name: value for name, value in state.items()}

    def check_constants(self, stated: Mapping[str, Any]) -> None:
        """Raises CheckpointError where a file states arguments by constants that this network has otherwise."""
        for name, value in contradicted(stated, self.hparams).items():
            typed = str([*value] if isinstance(value, tuple) else value).replace(" ", "")
            raise CheckpointError(f"it has {name}={typed}, not {self.hparams.get(name)}; type model.{name}={typed}")

    def score(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Super-resolves one whole picture and scores it by the protocol; see ``scoring.score``."""
        return scoring.score(self, batch)

    def reconstruct(self, batch: Batch, luma: bool) -> tuple[Tensor, Tensor, Tensor]:
        """LR, SR and HR of one whole picture, prepared by the protocol; ``luma`` asks for luma alone."""
        lr, sr, hr = scoring.reconstruct(self, batch, luma)
        if self.on_comparison is not None:
            self.on_comparison(sr, hr)
        return lr, sr, hr

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's; types that the device lacks stay on the CPU, from where protocols take their pictures."""
        if has_float64(device):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return {key: moved(value, device) if isinstance(value, Tensor) else value for key, value in batch.items()}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Training patches of 8 or 16 bit become float in [0, 1] here, on the device."""
        if not self.trainer.training:  # protocols start from the 8-bit picture itself
            return batch

        dtype = next(self.parameters()).dtype

        def as_float(value: Any) -> Any:
            levels = _LEVELS.get(value.dtype) if isinstance(value, Tensor) else None
            return value if levels is None else value.to(self.device, dtype).div_(levels)

        return {key: as_float(value) for key, value in batch.items()}  # type: ignore[return-value]

    def configure_callbacks(self) -> Any:
        """Raises ConfigError for settings of the trainer that do not go with a discriminator."""
        if self.adversary is not None:
            self.adversary.refuse_settings(self)
        return super().configure_callbacks()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        if self.adversary is not None:
            self.adversary.step(self, batch)
            return None
        terms = self.training_losses(batch)
        if self.imitation is not None:  # the sum is logged as the loss
            terms = {"truth" if name == "loss" else name: value for name, value in terms.items()} | self.imitation()
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()}, batch_size=len(batch["lr"]))
        if "loss" not in terms:
            self.log("train/loss", total.detach(), batch_size=len(batch["lr"]))
        return total

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        sr, scores = self.score(batch)
        prefix = self.prefix_of_set(dataloader_idx)
        # Checkpoints are chosen by PSNR, whatever is reported.
        psnr = scores["psnr"] if "psnr" in scores else self._psnr(sr, batch)
        named = {f"{prefix}/{metric}_{self.protocol.suffix()}": value for metric, value in scores.items()}
        for key, value in {**named, "val/psnr": psnr}.items():
            self._val_scores.setdefault(key, []).extend(value.tolist())

    def prefix_of_set(self, dataloader_idx: int) -> str:
        """What the keys begin with under which a validation set's scores are logged."""
        names = getattr(getattr(self.trainer, "datamodule", None), "val_names", None)
        return f"val/{names[dataloader_idx]}" if names else "val"

    def _psnr(self, sr: Tensor, batch: Batch) -> Tensor:
        _, hr = self.protocol.prepare(batch["hr"], batch.get("lr"), self.scale, self.luma)
        return replace(self.protocol, metrics=("psnr",)).score(sr, hr, self.scale)["psnr"]

    def on_validation_epoch_end(self) -> None:
        """Logs the mean of each set and ``val/psnr``, the mean of all pictures.

        Then steps schedulers that wait for a plateau. Lightning chooses and writes checkpoints after this.
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
        if self.adversary is not None:
            return self.adversary.optimizers(self)
        optimizer = self.optimizer_of(self.parameter_groups())
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler_of(optimizer)
        how: dict[str, Any] = {"interval": "step"}
        if isinstance(scheduler, ReduceLROnPlateau):
            every = self.trainer.check_val_every_n_epoch or 1
            how = {"interval": "epoch", "frequency": every, "monitor": "val/psnr"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **how}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Steps a scheduler as Lightning does, except one that waits for a plateau.

        Lightning steps that one after it writes ``last.ckpt``, so a resumed run would miss the step.
        ``on_validation_epoch_end`` steps it before.
        """
        if not isinstance(scheduler, ReduceLROnPlateau):
            with refusals_told("scheduler"):  # StepLR divides by its settings here
                super().lr_scheduler_step(scheduler, metric)

    def optimizer_of(self, groups: list[ParameterGroup]) -> Any:
        """Makes the optimizer of the groups, each with its own learning rate.

        Raises:
            ConfigError: If the optimizer refuses a setting.
        """
        groups = self.fine_tuning.groups(self, groups)
        with refusals_told("optimizer"):
            optimizer = self.optimizer([dict(group) for group in groups])
        for group in optimizer.param_groups:
            group["lr"] *= group.pop("lr_scale", 1.0)
            group.setdefault("initial_lr", group["lr"])  # a resumed run compares it with the rate that is typed
        self.fine_tuning.warm_up(optimizer, lambda: self.trainer.global_step // len(self.trainer.optimizers))
        return optimizer

    def scheduler_of(self, optimizer: Any, optimizers: int = 1) -> Any:
        """Makes the learning-rate scheduler of one of so many optimizers.

        Raises:
            ConfigError: If the scheduler refuses a setting.
        """
        with refusals_told("scheduler"):
            return self.with_total_steps(self.scheduler, optimizers)(optimizer)

    def with_total_steps(self, factory: Any, optimizers: int = 1) -> Any:
        """The scheduler factory with the length of the run, if it has an open argument ``total_steps``."""
        if "total_steps" not in open_arguments(factory):
            return factory
        return partial(factory, total_steps=total_steps(self.trainer, optimizers))

    def train(self, mode: bool = True) -> Self:
        """Also keeps the statistics of normalisation in frozen layers."""
        super().train(mode)
        for layer in self.fine_tuning.frozen_modules(self):
            layer.eval()
        return self

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Lightning's.

        Raises:
            CheckpointError: If another class wrote the checkpoint and its weights or arguments do not fit, or if it
                is not what was written, or holds NaN.
        """
        if isinstance(checkpoint_path, str | Path):
            check_archive(Path(checkpoint_path))
        stand_on_lightning()
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
        """Raises CheckpointError for weights that are no numbers, also when a run resumes."""
        if self.adversary is not None:
            self.adversary.restore(self, checkpoint)
        ours, theirs = self.state_dict(), checkpoint["state_dict"]
        fitting = {name for name, value in ours.items() if name in theirs and theirs[name].shape == value.shape}
        check_numbers("checkpoint", theirs, {name: ours[name] for name in fitting})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Records the classes and the release that wrote the file, and puts a discriminator apart."""
        if self.adversary is not None:
            self.adversary.put_apart(self, checkpoint)
        cls = type(self)
        note = {"model": f"{cls.__module__}.{cls.__qualname__}", "version": __version__}
        checkpoint["sr_lightning"] = note | (recipe_classes(self._trainer) if self._trainer else {})


def recipe_classes(trainer: Any) -> dict[str, list[str]]:
    """Class names of a trainer's optimizers and schedulers, and checksums of the names that the optimizers train.

    Only objects of the same class can read their state, which goes by the order of the parameters.
    """
    names = {id(parameter): name for name, parameter in trainer.lightning_module.named_parameters()}
    trained = [
        [[names.get(id(parameter), "") for parameter in group["params"]] for group in optimizer.param_groups]
        for optimizer in trainer.optimizers
    ]
    return {
        "optimizer": [type(optimizer).__name__ for optimizer in trainer.optimizers],
        "scheduler": [type(config.scheduler).__name__.lstrip("_") for config in trainer.lr_scheduler_configs],
        "parameters": [sha256(repr(groups).encode()).hexdigest()[:16] for groups in trained],
    }


def _as_luma(image: Tensor) -> Tensor:
    return rgb_to_y(image) if image.shape[1] == 3 else image
