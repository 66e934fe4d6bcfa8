"""Cuts the three pictures out of scikit-image's photographs: ``python tests/golden/make_inputs.py``."""

from pathlib import Path

from PIL import Image
from skimage import data

HERE = Path(__file__).parent
for name, top, left, height, width in (
    ("astronaut", 92, 196, 48, 48), ("coffee", 200, 240, 50, 45), ("camera", 90, 200, 48, 48),
):  # fmt: skip
    Image.fromarray(getattr(data, name)()[top : top + height, left : left + width]).save(HERE / f"{name}.png")
