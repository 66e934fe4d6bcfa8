"""The photographs that come with scikit-image, as files; scikit-image itself is not imported."""

from importlib.util import find_spec
from pathlib import Path

from sr_lightning.errors import DataError

TRAINING = (
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "ihc.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "camera.png",
)
HELD_OUT = ("astronaut.png", "chelsea.png")


def photograph(name: str) -> Path:
    """The file of a photograph.

    Raises:
        DataError: If scikit-image is not installed.

    Example:
        >>> photograph("astronaut.png").is_file()
        True
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("data=samples needs scikit-image; type: python -m pip install scikit-image")
    return Path(spec.origin).parent / "data" / name
