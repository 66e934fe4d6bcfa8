"""Photographs that come with scikit-image, so that a data set is always available."""

from importlib.util import find_spec
from pathlib import Path
from typing import Unpack

from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import DataError

TRAIN = (
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "ihc.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "camera.png",
)
VAL = ("astronaut.png", "chelsea.png")


class Samples(PictureDataModule):
    """Nine photographs from the scikit-image wheel; an astronaut and a cat are held out.

    Enough to see that everything works, not to train a network worth keeping.
    """

    layout = "the pictures in the scikit-image package (python -m pip install scikit-image)"

    def __init__(self, scale: int = 2, **loading: Unpack[Loading]) -> None:
        super().__init__(scale, **loading)

    def train_pictures(self) -> Pictures:
        return _pictures(TRAIN)

    def val_pictures(self) -> dict[str, Pictures]:
        return {"samples": _pictures(VAL)}


def _pictures(names: tuple[str, ...]) -> Pictures:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError(f"data=samples needs {Samples.layout}")
    folder = Path(spec.origin).parent / "data"
    return Pictures([folder / name for name in names])
