"""How a RAW file becomes a picture: exposure, highlights, white balance, colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import rawpy
import torch
from pydantic import PlainValidator

from sr_lightning.data.files.icc import Colour, icc_profile
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw.colours import filter_gains
from sr_lightning.errors import ConfigError
from sr_lightning.functional import to_levels
from sr_lightning.functional.isp import undevelop
from sr_lightning.limits import check_settings

_SPACES = {
    "srgb": rawpy.ColorSpace.sRGB,
    "display_p3": rawpy.ColorSpace.P3D65,
    "prophoto": rawpy.ColorSpace.ProPhoto,
    "linear": rawpy.ColorSpace.sRGB,
}
#: Curves as LibRaw has them: exponent, and slope in the dark. Its default, that of BT.709, is darker than sRGB's.
SRGB_CURVE = (2.4, 12.92)
_CURVES = {"srgb": SRGB_CURVE, "display_p3": SRGB_CURVE, "prophoto": (1.8, 0.0), "linear": (1.0, 1.0)}
_HIGHLIGHTS = {
    "clip": rawpy.HighlightMode.Clip,
    "blend": rawpy.HighlightMode.Blend,
    "reconstruct": rawpy.HighlightMode.ReconstructDefault,
}


def _exposure(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if value not in ("auto", "as_shot") and not (number and abs(value) <= 8):
        raise ValueError("must be as_shot, auto, or EV from -8 to 8, such as 0.5")
    return value


def _white_balance(value: Any) -> Any:
    if isinstance(value, str) and value in ("camera", "auto", "daylight"):
        return value
    numbers = [*value] if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(numbers) != 3 or not all(isinstance(n, int | float) and 0 < n < 100 for n in numbers):
        raise ValueError("must be camera, auto, daylight, or gains of red, green and blue such as [2.1,1,1.4]")
    return value


@dataclass(frozen=True)
class Development:
    """The choices between a sensor's samples and a picture.

    Args:
        exposure: ``as_shot`` (a DNG's BaselineExposure is part of it), ``auto`` (a hundredth of the pixels becomes
            white), or by how many EV the picture is to be brighter than as shot.
        highlights: What becomes of pixels of which a channel is full: ``clip`` makes them white, ``blend`` and
            ``reconstruct`` keep what the other channels know, which shows where ``exposure`` is lowered.
        white_balance: That of the ``camera`` (where the file has none, as ``auto``), ``auto`` (the mean is grey),
            ``daylight``, or gains of red, green and blue.
        colour: ``srgb``, ``display_p3``, ``prophoto``, or ``linear`` light in sRGB's primaries.

    Raises:
        ConfigError: If a choice cannot be.

    Example:
        >>> Development(exposure=-1.0).options()["bright"]
        0.5
    """

    exposure: Annotated[float | str, PlainValidator(_exposure)] = "as_shot"
    highlights: Literal["clip", "blend", "reconstruct"] = "clip"
    white_balance: Annotated[Any, PlainValidator(_white_balance)] = "camera"
    colour: Colour = "srgb"

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def profile(self) -> bytes:
        """The ICC profile of the result."""
        return icc_profile(self.colour)

    def options(self) -> dict[str, Any]:
        """The choices that need no file, as arguments of ``rawpy``'s ``postprocess``."""
        stops = self.exposure if isinstance(self.exposure, int | float) else 0
        return {
            "output_color": _SPACES[self.colour],
            "gamma": _CURVES[self.colour],
            "highlight_mode": _HIGHLIGHTS[self.highlights],
            "no_auto_bright": self.exposure != "auto",
            "adjust_maximum_thr": 0.0,  # else the brightest sample of a dark picture would be white
            "bright": 2.0**stops,
        }

    def options_for(self, raw: Any) -> dict[str, Any]:
        """All choices, for one ``RawFile``."""
        gains = filter_gains(raw, self.white_balance)
        options = {**self.options(), "user_wb": gains}
        if self.exposure != "auto":
            options["bright"] *= 2.0**raw.baseline_exposure
        if self.highlights != "clip":
            # Then LibRaw makes room above white by darkening the picture.
            options["bright"] *= max(gains) / min(gains)
        return options


AS_SHOT = Development()


def is_for_mosaics(development: Development) -> bool:
    """Whether a network that reads the mosaic can follow: it was trained to clip, and to give sRGB."""
    return development.highlights == "clip" and development.colour == "srgb"


def refuse_for_mosaics(development: Development) -> None:
    """Refuses what a network that reads the mosaic cannot follow.

    Raises:
        ConfigError: If there is such a choice.
    """
    if is_for_mosaics(development):
        return
    for key, only in (("highlights", "clip"), ("colour", "srgb")):
        if getattr(development, key) != only:
            raise ConfigError(
                f"{key}={getattr(development, key)}: is for networks that enlarge LibRaw's picture; this one reads the "
                f"mosaic; use {key}={only}, or another model="
            )


def seen_by_networks(development: Development) -> Development:
    """The same for pictures that a network enlarges before they become linear light: none was trained on that."""
    return replace(development, colour="srgb") if development.colour == "linear" else development


def finished(photo: Photo, development: Development) -> Photo:
    """What a network made of a picture that was developed for it, in the colours chosen."""
    return as_linear_light(photo) if development.colour == "linear" else photo


def as_linear_light(photo: Photo) -> Photo:
    """The same sRGB picture in linear light, with the profile that says so."""
    top = np.iinfo(photo.pixels.dtype).max
    values = torch.arange(top + 1, dtype=torch.float64) / top
    light = undevelop(values.expand(3, 1, -1), (1.0, 1.0, 1.0), torch.eye(3))[0, 0]
    levels = to_levels(light, 8 if top == 255 else 16).numpy()
    return replace(photo, pixels=levels[photo.pixels], metadata=replace(photo.metadata, icc=icc_profile("linear")))
