"""Sample pictures of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch.utils.data import default_collate

from sr_lightning.atomic import atomic_write
from sr_lightning.evaluation.crops import comparison
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.bicubic import baseline_of
from sr_lightning.training.tracking import log_picture


class SamplePictures(Callback):
    """Saves LR | bicubic | SR | HR of the most difficult detail of validation pictures.

    Args:
        folder: Where the pictures go.
        num_pictures: How many pictures of each set.
        every_n_epochs: How often during training; 0 is never.
    """

    def __init__(self, folder: str | Path, num_pictures: int = 1, every_n_epochs: int = 0) -> None:
        self.folder, self.num_pictures, self.every_n_epochs = Path(folder), num_pictures, every_n_epochs

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if due and not trainer.sanity_checking:
            self.save(trainer, pl_module, getattr(trainer, "datamodule", None))

    @torch.inference_mode()
    def save(self, trainer: Trainer, pl_module: LightningModule, data: Any) -> None:
        """Makes the pictures of the network as it is; a command does so at the end, with the best weights."""
        sets = getattr(data, "val_sets", {})
        if not trainer.is_global_zero or not isinstance(pl_module, SuperResolutionModule):
            return
        was_training = pl_module.training
        pl_module.eval()
        for set_name, pictures in sets.items():
            for i in range(min(self.num_pictures, len(pictures))):
                batch = pl_module.transfer_batch_to_device(default_collate([pictures[i]]), pl_module.device, 0)
                figure = picture_of(pl_module, batch)
                name = f"{set_name}_{batch['name'][0]}".replace("/", "_")  # a config names the set
                with atomic_write(self.folder / f"{name}.png") as temporary:
                    figure.save(temporary)
                log_picture(trainer, name, self.folder / f"{name}.png")
        pl_module.train(was_training)


def picture_of(model: SuperResolutionModule, batch: Any) -> Image.Image:
    """The comparison picture of one validation batch."""
    lr, sr, hr = model.reconstruct(batch, luma=False)
    bicubic = baseline_of(model)(lr)

    def caption(label: str, image: torch.Tensor) -> str:
        psnr = replace(model.protocol, metrics=("psnr",)).score(image, hr, model.scale)["psnr"]
        return f"{label}\n{psnr.item():.2f} dB ({model.protocol.name})"

    panels = [
        (f"LR, 1/{model.scale}", lr),
        (caption("bicubic", bicubic), bicubic),
        (caption(type(model).__name__, sr), sr),
        ("HR", hr),
    ]
    return comparison(panels, where=(bicubic - hr))
