"""Pictures in memory, of whatever kind, enlarged to pictures of the same kind."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from sr_lightning.atomic import expand_home
from sr_lightning.data.files.colours import to_srgb
from sr_lightning.data.files.exif import exif_bytes
from sr_lightning.data.files.io import Photo, no_pixel_limit
from sr_lightning.data.files.jpeg_quality import jpeg_quality
from sr_lightning.data.files.metadata import Metadata, read_exif, xmp_with_size
from sr_lightning.data.files.pages.reading import pages_of, read_page
from sr_lightning.data.files.raw import AS_SHOT, Development, camera_photo, finished, is_raw, seen_by_networks
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional import to_levels
from sr_lightning.inference.memory import refuse_without_room

Wanted = Callable[[int, int], tuple[int, int]]
Enlarge = Callable[[Photo, tuple[int, int]], Photo]
KINDS = "a PIL picture, a NumPy array, a tensor, a path, bytes, a file opened in binary mode, or a list of these"


def upscale_image(
    enlarge: Enlarge,
    image: Any,
    wanted: Wanted,
    memory: float | str | None = None,
    development: Development = AS_SHOT,
) -> Any:
    """A picture of the same kind as ``image``, enlarged: what ``Upscaler.upscale`` does.

    Args:
        enlarge: A photo, and the height and width of the result, to the result.
        image: See ``Upscaler.upscale``; a list is not taken.
        wanted: Height and width of the result for those of a picture.
        memory: GB that the picture of a file and its result may take; None for what is free.
        development: Of a RAW file.

    Raises:
        TypeError: If the picture is of no such kind.
    """

    def enlarged(photo: Photo) -> Photo:
        return enlarge(photo, wanted(*photo.pixels.shape[:2]))

    if isinstance(image, str | Path) and is_raw(image):
        path = expand_home(image)
        refuse_without_room(path, memory, wanted)
        return to_pil(finished(enlarged(camera_photo(path, seen_by_networks(development))), development))
    if isinstance(image, str | Path):
        return to_pil(enlarged(_read(expand_home(image), wanted, memory)))
    if isinstance(image, Image.Image):
        return to_pil(enlarged(from_pil(image)))
    if isinstance(image, bytes | bytearray | memoryview):
        return to_pil(enlarged(_read_bytes(bytes(image), wanted, memory)))
    if hasattr(image, "read"):
        return to_pil(enlarged(_read_bytes(image.read(), wanted, memory)))
    if isinstance(image, Tensor):
        return _upscale_tensor(enlarged, image)
    if isinstance(image, np.ndarray):
        return _upscale_array(enlarged, image)
    raise TypeError(f"{type(image).__name__}: must be {KINDS}")


def from_pil(image: Image.Image) -> Photo:
    """A PIL picture as a photo: upright, with its opacity, colour profile and metadata."""
    info, given = dict(image.info), image
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # damage, as there
        lost = True
    else:
        lost = False
    exif = Image.Exif() if lost else read_exif(image)[0]
    metadata = Metadata(
        info.get("icc_profile"),
        exif_bytes(exif),
        xmp=info.get("xmp"),
        dpi=info.get("dpi"),
        comment=info.get("comment"),
        jpeg_quality=jpeg_quality(given),
    )
    if image.mode.startswith("I;16"):
        return Photo(np.asarray(image).astype(np.uint16)[..., None], metadata=metadata)
    if image.mode in ("I", "F"):
        raise DataError(f"a picture of mode {image.mode} has no known range; give an array in [0, 1] instead")
    if image.mode == "CMYK":
        return Photo(np.asarray(to_srgb(image, metadata.icc)[0]), metadata=replace(metadata, icc=None))
    grey = image.mode in ("1", "L", "LA", "La")
    opacity = "A" if image.mode[-1:] in "Aa" or "transparency" in image.info else ""
    pixels = np.asarray(image.convert(("L" if grey else "RGB") + opacity)).reshape(image.height, image.width, -1)
    channels = 1 if grey else 3
    return Photo(pixels[..., :channels], pixels[..., channels:] if opacity else None, metadata)


def to_pil(photo: Photo) -> Image.Image:
    """A photo as a PIL picture, which holds 16 bit of grey, but 8 bit of colour.

    Example:
        >>> to_pil(Photo(np.zeros((4, 6, 3), np.uint8))).size
        (6, 4)
    """
    from sr_lightning.data.files.exif import exif_with_size
    from sr_lightning.data.files.io import to_uint8

    pixels, metadata = photo.pixels, photo.metadata
    if pixels.shape[-1] == 3 or photo.alpha is not None:
        pixels = to_uint8(pixels)
    if photo.alpha is not None:
        pixels = np.concatenate([pixels, to_uint8(photo.alpha)], axis=-1)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    xmp = xmp_with_size(metadata.xmp, *photo.pixels.shape[:2]) if metadata.xmp else None
    exif = exif_with_size(metadata.exif, *photo.pixels.shape[:2]).tobytes() if metadata.exif else None
    kept = {"icc_profile": metadata.icc, "exif": exif, "xmp": xmp, "dpi": metadata.dpi, "comment": metadata.comment}
    image.info |= {key: value for key, value in kept.items() if value}
    return image


def _read(path: Path, wanted: Wanted, memory: float | str | None) -> Photo:
    with no_pixel_limit():
        refuse_without_room(path, memory, wanted)
        if pages := pages_of(path):
            warnings.warn(f"{path}: holds {pages.count} {pages.word}s; the result is the first", stacklevel=2)
        return read_page(path, check=partial(refuse_without_room, memory=memory, wanted=wanted))


def _read_bytes(content: Any, wanted: Wanted, memory: float | str | None) -> Photo:
    """The picture in the bytes of a file; they are read from a file, as all decoders and checks expect it."""
    if not isinstance(content, bytes):
        raise TypeError(f"a file that gives {type(content).__name__}: open it in binary mode, as in open(path, 'rb')")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return _read(path, wanted, memory)
        except PictureError as error:
            raise PictureError(str(error).replace(str(path), f"a picture of {len(content)} bytes")) from None


def _upscale_array(enlarged: Callable[[Photo], Photo], image: NDArray[Any]) -> NDArray[Any]:
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)) or 0 in image.shape:
        shape = "x".join(map(str, image.shape))
        raise DataError(f"an array of {shape}: must be (H, W) or (H, W, C) with 1 to 4 channels, the even ones opacity")
    real = np.issubdtype(image.dtype, np.floating)
    if not real and image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"an array of {image.dtype}: must be uint8, uint16, or floating point in [0, 1]")
    pixels = image[..., None] if image.ndim == 2 else image
    channels = 1 if pixels.shape[2] <= 2 else 3
    values = _in_16_bit(pixels) if real else pixels
    photo = Photo(values[..., :channels], values[..., channels:] if pixels.shape[2] > channels else None)
    photo = enlarged(replace(photo, pixels=np.ascontiguousarray(photo.pixels)))
    out = photo.pixels if photo.alpha is None else np.concatenate([photo.pixels, photo.alpha], axis=-1)
    if real:
        out = (out / 65535).astype(image.dtype)
    return out[..., 0] if image.ndim == 2 else out


def _in_16_bit(pixels: NDArray[Any]) -> NDArray[Any]:
    from sr_lightning.data.files.writing import quantize

    if not np.isfinite(pixels).all() or pixels.min() < -1e-3 or pixels.max() > 1 + 1e-3:
        raise DataError(
            f"an array with values from {pixels.min():.4g} to {pixels.max():.4g}: floating point must be in [0, 1]"
        )
    return quantize(pixels, 16)


def _upscale_tensor(enlarged: Callable[[Photo], Photo], image: Tensor) -> Tensor:
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or 0 in image.shape:
        raise DataError(f"a tensor of {tuple(image.shape)}: must be (C, H, W) or (N, C, H, W) with 1 or 3 channels")
    batch = image if image.ndim == 4 else image[None]
    arrays = [
        _upscale_array(enlarged, one.detach().cpu().float().numpy().transpose(1, 2, 0))
        for one in (batch / 255 if image.dtype == torch.uint8 else batch)
    ]
    out = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).to(image.device)
    out = to_levels(out) if image.dtype == torch.uint8 else out.to(image.dtype)
    return out if image.ndim == 4 else out[0]
