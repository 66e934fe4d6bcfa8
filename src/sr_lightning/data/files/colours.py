"""Converts CMYK to sRGB by the colour profile."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageCms


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts a CMYK picture to RGB, and says in words what could not be used.

    Args:
        image: Of mode ``CMYK``.
        profile: Of its inks; without, the closed formula stands in, which is brighter than any paper.
    """
    if profile is None:
        return image.convert("RGB"), ()
    try:
        inks = ImageCms.ImageCmsProfile(BytesIO(profile))
        intent: Any = ImageCms.getDefaultIntent(inks)
        screen = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(image, inks, screen, renderingIntent=intent, outputMode="RGB")
        assert shown is not None
        return shown, ()
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB"), ("its CMYK profile, which cannot be used: colours are approximate",)
