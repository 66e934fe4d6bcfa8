"""Photographs that come with scikit-image, so that a data set is always available."""

from typing import Unpack

from sr_lightning.data.files.photographs import HELD_OUT, TRAINING, photograph
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures


class Samples(PictureDataModule):
    """Nine photographs from the scikit-image wheel; an astronaut and a cat are held out.

    Enough to see that everything works, not to train a network worth keeping.
    """

    layout = "the pictures in the scikit-image package (python -m pip install scikit-image)"

    def __init__(self, scale: int = 2, **loading: Unpack[Loading]) -> None:
        super().__init__(scale, **loading)

    def train_pictures(self) -> Pictures:
        return _pictures(TRAINING)

    def val_pictures(self) -> dict[str, Pictures]:
        return {"samples": _pictures(HELD_OUT)}


def _pictures(names: tuple[str, ...]) -> Pictures:
    return Pictures([photograph(name) for name in names])
