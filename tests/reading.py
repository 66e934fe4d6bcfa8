"""Pictures read without the library that is tested."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def load(path: Path) -> torch.Tensor:
    """A picture as float64 ``(1, C, H, W)`` in [0, 1], read without the library."""
    pixels = np.array(Image.open(path))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255
