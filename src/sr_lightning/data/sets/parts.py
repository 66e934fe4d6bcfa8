"""The single data sets within a mixture, for code that reads their files one by one."""

import copy

from sr_lightning.data.patches.datamodule import PictureDataModule
from sr_lightning.data.sets.mixture import Mixture


def parts_at(data: PictureDataModule, scale: int, *, validating: bool = False) -> dict[str, PictureDataModule]:
    """The sets of a mixture by name, also those of mixtures within it. Any other set has the empty name.

    Args:
        data: The set, which stays as it is.
        scale: The scale that the parts are to be read at.
        validating: Only those that the mixture validates on.
    """
    if isinstance(data, Mixture):
        chosen = [data.val_set] if validating and data.val_set is not None else list(data.sets)
        return {
            f"{name} {inner}".rstrip(): part
            for name in chosen
            for inner, part in parts_at(data._configured(data.sets[name]), scale, validating=validating).items()
        }
    part = copy.copy(data)
    part.scale, part.scales = scale, None
    return {"": part}


def cuts_from_pictures(data: PictureDataModule) -> bool:
    """Whether patches are cut from ``train_pictures``, and the set does not override how."""
    base = PictureDataModule
    return type(data)._open_scale is base._open_scale and type(data).train_dataloader is base.train_dataloader
