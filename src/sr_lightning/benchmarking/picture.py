"""The photograph that is enlarged."""

import re
from pathlib import Path

import torch

from sr_lightning.data.files.io import read_picture, write_picture
from sr_lightning.data.files.photographs import photograph
from sr_lightning.errors import ConfigError
from sr_lightning.functional import as_unit, imresize, to_levels


def height_and_width(size: str) -> tuple[int, int]:
    """Of a size as it is typed.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> height_and_width("1020x678")
        (678, 1020)
    """
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", str(size).lower())
    if found is None:
        raise ConfigError(f"size={size}: must be WIDTHxHEIGHT, such as 1020x678")
    return int(found[2]), int(found[1])


def write_photograph(path: Path, size: str) -> Path:
    """Writes the astronaut that comes with scikit-image, stretched to that size."""
    pixels = read_picture(photograph("astronaut.png"))
    image = as_unit(torch.tensor(pixels).permute(2, 0, 1)[None])
    image = imresize(image, size=height_and_width(size), rounding="per_pass")
    write_picture(path, to_levels(image[0]).to(torch.uint8).permute(1, 2, 0).numpy())
    return path
