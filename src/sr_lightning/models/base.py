"""The LightningModule that every architecture is: training, validation and checkpoints stand once, here."""

import inspect
from functools import partial
from typing import Any, ClassVar, NotRequired, TypedDict, Unpack

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from sr_lightning import __version__
from sr_lightning.blocks import Luma
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import rgb_to_y
from sr_lightning.metrics import Protocol
from sr_lightning.types import Batch, Recipe


class ParameterGroup(TypedDict):
    """Parameters with a learning rate of their own, relative to the optimizer's."""

    params: list[nn.Parameter]
    lr_scale: NotRequired[float]


class SuperResolutionModule(LightningModule):
    """A super-resolution network with its training recipe.

    Subclasses are one constructor each. Where a paper departs from "one loss between output and truth",
    they override :meth:`training_losses`, :meth:`super_resolve` or :meth:`parameter_groups`.

    Args:
        net: LR picture(s) ``(N, C, H, W)`` in [0, 1] to SR pictures of exactly ``scale`` times the size.
        scale: Whole factor of enlargement.
        loss: Compares SR and HR, default L1.
        optimizer: Parameters to optimizer, default Adam with learning rate 1e-4.
        scheduler: Optimizer to learning-rate scheduler, stepped at every update; an open argument
            ``total_steps`` is filled with the length of the run.
        protocol: How validation pictures are scored, default ``y_rgb8``.
    """

    #: Batch entries that ``forward`` takes, in order.
    inputs: ClassVar[tuple[str, ...]] = ("lr",)
    #: Whether one set of weights serves other scales too: ``net`` then takes ``scale=`` beside its inputs.
    multi_scale: ClassVar[bool] = False

    def __init__(self, net: nn.Module, *, scale: int, **recipe: Unpack[Recipe]) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["net", *Recipe.__annotations__])
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
        self._val_psnr: list[float] = []

    def forward(self, *inputs: Tensor, scale: int | None = None) -> Tensor:
        """SR pictures ``(N, C, scale * H, scale * W)`` of LR pictures ``(N, C, H, W)`` in [0, 1].

        ``scale`` is the module's own, unless the network is :attr:`multi_scale`.
        """
        if scale is None or scale == self.scale:
            return self.net(*inputs)  # type: ignore[no-any-return]
        if not self.multi_scale:
            raise ConfigError(f"{type(self).__name__} has weights for scale {self.scale} alone, not for {scale}")
        return self.net(*inputs, scale=scale)  # type: ignore[no-any-return]

    def super_resolve(self, batch: Batch) -> Tensor:
        """The SR pictures of a batch, from the entries that :attr:`inputs` names."""
        missing = [key for key in self.inputs if key not in batch]
        if missing:
            raise DataError(
                f"{type(self).__name__} reads {', '.join(self.inputs)}, but the data give {', '.join(sorted(batch))}; "
                f"choose a data config that has {', '.join(missing)}"
            )
        inputs = [batch[key] for key in self.inputs]  # type: ignore[literal-required]
        return self(*inputs, scale=batch.get("scale"))  # type: ignore[no-any-return]

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the training loss; their sum is minimised and each is logged as ``train/<term>``."""
        if self.luma:
            batch = {**batch, "lr": _as_luma(batch["lr"]), "hr": _as_luma(batch["hr"])}
        # Losses are computed in float32 whatever precision the network ran in.
        return {"loss": self.loss(self.super_resolve(batch).float(), batch["hr"])}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Parameters for the optimizer, in groups where a paper gives layers different learning rates."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def slower(self, layer: str, lr_scale: float) -> list[ParameterGroup]:
        """Two groups: all parameters, but those under the layer of that name at ``lr_scale`` times the rate."""
        named = [(layer in name.split("."), p) for name, p in self.named_parameters() if p.requires_grad]
        return [
            {"params": [p for slow, p in named if not slow]},
            {"params": [p for slow, p in named if slow], "lr_scale": lr_scale},
        ]

    def score(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Super-resolves one whole picture and scores it by the protocol.

        Args:
            batch: ``hr`` and, if the data set has its own low-resolution picture, ``lr``; uint8, or float in [0, 1].

        Returns:
            The SR picture ``(1, C, H, W)`` in [0, 1] and each metric's value.
        """
        _, sr, hr = self.reconstruct(batch, self.luma)
        return sr, self.protocol.score(sr, hr, self.scale)

    def reconstruct(self, batch: Batch, luma: bool) -> tuple[Tensor, Tensor, Tensor]:
        """LR, SR and HR of one whole picture, prepared as the protocol says; of luma alone where it is enough."""
        lr, hr = self.protocol.prepare(batch["hr"], batch.get("lr"), self.scale, luma)
        parameter = next(self.parameters(), None)
        return lr, self.super_resolve({**batch, "lr": lr if parameter is None else lr.to(parameter)}), hr

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """8-bit training patches become float in [0, 1] here, on the device."""
        if not self.trainer.training:  # protocols start from the 8-bit picture itself
            return batch

        def as_float(value: Any) -> Any:
            return value.float().div_(255) if isinstance(value, Tensor) and value.dtype == torch.uint8 else value

        return {key: as_float(value) for key, value in batch.items()}  # type: ignore[return-value]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        terms = self.training_losses(batch)
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()}, batch_size=len(batch["lr"]))
        if "loss" not in terms:
            self.log("train/loss", total.detach(), batch_size=len(batch["lr"]))
        return total

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        _, scores = self.score(batch)
        names = getattr(getattr(self.trainer, "datamodule", None), "val_names", None)
        prefix = f"val/{names[dataloader_idx]}" if names else "val"
        for metric, value in scores.items():
            key = f"{prefix}/{metric}_{self.protocol.suffix()}"
            self.log(key, value.mean().float(), batch_size=1, add_dataloader_idx=False)
        if "psnr" in scores:
            self._val_psnr += scores["psnr"].tolist()

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/psnr``, the mean over all validation pictures, which checkpoints are chosen by."""
        if self._val_psnr:
            self.log("val/psnr", sum(self._val_psnr) / len(self._val_psnr), prog_bar=True)
        self._val_psnr.clear()

    def configure_optimizers(self) -> Any:
        groups = self.parameter_groups()
        optimizer = self.optimizer([dict(group) for group in groups])
        for group in optimizer.param_groups:
            group["lr"] *= group.pop("lr_scale", 1.0)
        if self.scheduler is None:
            return optimizer
        factory = self.scheduler
        if "total_steps" in _open_arguments(factory):
            factory = partial(factory, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": factory(optimizer), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Notes which class and release wrote the file, so that it can be recognised later."""
        cls = type(self)
        checkpoint["sr_lightning"] = {"model": f"{cls.__module__}.{cls.__qualname__}", "version": __version__}


def _as_luma(image: Tensor) -> Tensor:
    return rgb_to_y(image) if image.shape[1] == 3 else image


def _open_arguments(factory: Any) -> set[str]:
    """Arguments of a (partial) callable that nobody has set."""
    given = factory.keywords if isinstance(factory, partial) else {}
    return set(inspect.signature(factory).parameters) - set(given)
