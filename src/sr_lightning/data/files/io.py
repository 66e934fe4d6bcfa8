"""Reads picture files as arrays. No other module opens pictures."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.colours import to_srgb
from sr_lightning.data.files.damage import check_intact, decoder_warnings_as_errors
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.formats import (
    BY_EXTRA,
    EXTENSIONS,
    OTHERS,
    jp2_depth,
    jxl_size,
    load_plugins,
    unreadable_reason,
)
from sr_lightning.data.files.metadata import NO_METADATA, Metadata, read_exif, read_metadata
from sr_lightning.errors import DataError, PictureError

__all__ = ["EXTENSIONS", "Photo", "no_pixel_limit", "declared_size", "find_pictures", "is_16_bit"]
__all__ += ["is_opaque", "picture_size", "read_photo", "read_picture", "to_uint8", "write_picture"]

# By content, whatever the ending; among the formats left out, EPS would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "AVIF", "JPEG2000")
_GREY, _COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
_TRANSPARENT = "has transparent pixels; flatten the picture onto a background first"
# EXIF orientation: (transpose, flip rows, flip columns), applied in this order.
_ORIENTATION = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def find_pictures(folder: AnyPath) -> list[Path]:
    """The picture files directly in a folder, sorted by name.

    Raises:
        DataError: If there is no such folder or no picture in it.
    """
    folder = Path(folder)
    with errors_with_file(folder):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        named = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    files = [path for path in named if path.suffix.lower() in EXTENSIONS | BY_EXTRA.keys()]
    if others := [path.name for path in named if path.suffix.lower() in OTHERS | {".gif"}]:
        warnings.warn(f"{folder}: {', '.join(others)}: no pictures of a kind that sets are made of", stacklevel=2)
    stems = {path.stem: path for path in files}
    if len(stems) < len(files):
        twin = next(path for path in files if stems[path.stem] != path)
        raise DataError(f"{twin} and {stems[twin.stem].name}: two pictures of one name; rename one or take it out")
    if not files:
        raise DataError(f"{folder}: no pictures in this folder (known endings: {' '.join(sorted(EXTENSIONS))})")
    return files


@dataclass(frozen=True)
class Photo:
    """A picture with its opacity and metadata.

    Attributes:
        pixels: ``(H, W, C)``, C is 1 or 3, uint8 or uint16, upright.
        alpha: Opacity ``(H, W, 1)`` of the same type, or None.
        metadata: EXIF, colour profile and other metadata of the file.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    metadata: Metadata = NO_METADATA


def read_picture(path: AnyPath) -> NDArray[Any]:
    """Decodes a file to ``(H, W, C)``: C is 1 or 3, the type uint8 or uint16, by the file's own depth.

    Palettes become RGB, CMYK too, by its profile where it has one. EXIF rotation is applied, an opaque alpha channel is
    dropped. Of the pictures that cameras add to a JPEG (MPO), the first is the photograph.

    Raises:
        PictureError: If the file is missing, damaged, transparent, animated or not of colours in 8 or 16 bit.
    """
    photo = read_photo(path)
    if not is_opaque(photo):
        raise PictureError(f"{path}: {_TRANSPARENT}")
    return photo.pixels


def is_opaque(photo: Photo) -> bool:
    """Whether every pixel is opaque."""
    return photo.alpha is None or bool(photo.alpha.min() == np.iinfo(photo.alpha.dtype).max)


@contextmanager
def no_pixel_limit() -> Iterator[None]:
    """Turns off Pillow's limit of pixels, for callers that check free memory themselves."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def read_photo(path: AnyPath) -> Photo:
    """Decodes a file as ``read_picture`` does, and keeps transparency, colour profile and metadata.

    Raises:
        PictureError: If the file is missing, damaged, animated or not of colours in 8 or 16 bit.
    """
    path = Path(path)
    with one_sentence(path), opened(path) as image, decoder_warnings_as_errors(path, image):
        frames = 1 if image.format in ("MPO", "HEIF") else getattr(image, "n_frames", 1)
        if frames > 1:
            raise PictureError(f"{path}: holds {frames} pictures; extract the one you want")
        check_intact(path, image)
        deep = _is_16bit(path, image)
        if image.format == "TIFF":
            _refuse_odd_tiff(path, image.tag_v2, deep)  # type: ignore[attr-defined]
        exif, orientation, readable = read_exif(image)
        pixels = _decode_16bit(path, image) if deep else None
        metadata = read_metadata(path, image, exif, readable)
        if pixels is None:
            pixels, metadata = _decode_8bit(path, image, metadata)
        pixels = turned(pixels, orientation)
        channels = 1 if pixels.shape[2] <= 2 else 3
        alpha = pixels[..., channels:] if pixels.shape[2] > channels else None
        return Photo(pixels[..., :channels], alpha, metadata)


def picture_size(path: AnyPath, upright: bool = True) -> tuple[int, int]:
    """Height and width of the result of ``read_picture``, from the file's header.

    Args:
        path: The file.
        upright: Turned as EXIF says, which may stand at the end of a PNG, so that Pillow decodes it; without, nothing
            ever is decoded.

    Raises:
        PictureError: If the file is missing or no picture.
    """
    path = Path(path)
    with one_sentence(path):
        if size := jxl_size(path):
            return size
        with opened(path) as image:
            turned = upright and _ORIENTATION.get(read_exif(image)[1], (False,))[0]
            return (image.width, image.height) if turned else (image.height, image.width)


def is_16_bit(path: AnyPath) -> bool:
    """Whether ``read_picture`` returns uint16, from the file's header.

    Raises:
        PictureError: If the file is missing or no picture.
    """
    path = Path(path)
    with one_sentence(path), opened(path) as image:
        return _is_16bit(path, image)


def declared_size(path: AnyPath) -> tuple[int, int, int, int]:
    """Height, width, channels and bytes of a sample that a file's header declares; nothing is decoded.

    Raises:
        PictureError: If the file is missing or no picture.
    """
    path = Path(path)
    with one_sentence(path), no_pixel_limit():
        if size := jxl_size(path):
            return *size, 1, 1
        with opened(path) as image:
            channels = 3 if image.mode == "P" else len(image.getbands())
            return image.height, image.width, channels, 2 if _is_16bit(path, image) else 1


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turns every error of opening and decoding into a ``PictureError``."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: {unreadable_reason(path)}") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: {error}; split it, or scale it down first") from None
    # Decoders raise whatever they trip over; a damaged file must never end in a traceback.
    except Exception as error:
        raise PictureError(f"{path}: cannot be decoded ({_reason(error)})") from None


@contextmanager
def opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Opens a picture and reads its header."""
    formats = (*_FORMATS, *load_plugins())
    limit = Image.MAX_IMAGE_PIXELS
    if limit and (size := jxl_size(path)) and size[0] * size[1] > 2 * limit:  # its decoder begins at once
        raise Image.DecompressionBombError(f"{size[0] * size[1]} pixels exceed the limit of {2 * limit}")
    # Pillow refuses a PNG with words of more than a megabyte, and the picture with them.
    words, PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    try:
        with Image.open(path, formats=formats) as image:
            yield image
    except OSError as error:
        if "decoder object" in str(error):  # all that libwebp says of a file that is cut short
            raise UnidentifiedImageError(str(error)) from error
        raise
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK = words


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """16 bit to 8 bit, rounded to the nearest level; 8 bit stays as it is.

    Example:
        >>> to_uint8(np.array([0, 128, 129, 65535], dtype=np.uint16))
        array([  0,   0,   1, 255], dtype=uint8)
    """
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def write_picture(path: AnyPath, pixels: NDArray[np.uint8]) -> None:
    """Writes ``(H, W, C)`` uint8, grey or RGB, in the format of the file's ending; never leaves half a file.

    Raises:
        PictureError: If the file cannot be written.
    """
    path = Path(path)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    try:
        with atomic_write(path) as temporary:
            image.save(temporary)
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be written ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """The reason of an error in one line, without the path, which the message names already."""
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())


def _is_16bit(path: Path, image: ImageFile.ImageFile) -> bool:
    """By the file's declared depth: a dark 16-bit picture is still one."""
    if image.format == "PNG":
        return _png_depth(path) == 16
    if image.format == "JPEG2000":
        return jp2_depth(path) > 8
    if image.format == "TIFF":
        return 16 in image.tag_v2.get(258, ())  # type: ignore[attr-defined]
    if image.format == "PPM":
        arguments = image.tile[0].args
        return image.mode == "I" or (isinstance(arguments, tuple) and arguments[-1] > 255)
    return False


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(25)[24]


def _refuse_odd_tiff(path: Path, tags: Mapping[int, Any], deep: bool) -> None:
    """Refuses TIFF variants that decoders would silently decode to another picture."""
    if deep and tags.get(274, 1) != 1:  # Pillow and OpenCV turn it themselves, each in its own way
        raise PictureError(f"{path}: a 16-bit TIFF with an orientation tag; save it upright")
    if set(tags.get(339, (1,))) != {1}:
        raise PictureError(f"{path}: pixels are signed or floating-point numbers; convert the file to PNG")
    if deep and tags.get(262) == 0:  # neither Pillow nor OpenCV inverts 16 bit
        raise PictureError(f"{path}: a 16-bit TIFF where 0 is white; convert the file to PNG")


def _decode_8bit(path: Path, image: ImageFile.ImageFile, metadata: Metadata) -> tuple[NDArray[Any], Metadata]:
    if image.mode not in _GREY + _COLOUR:
        raise PictureError(f"{path}: pixels of kind {image.mode!r} are neither 8 nor 16 bit; convert the file to PNG")
    if image.format == "PNG" and image.mode == "L" and isinstance(image.info.get("transparency"), int):
        # Samples of 2 and 4 bit are spread over 0 to 255; Pillow leaves the transparent one as it was.
        image.info["transparency"] *= 255 // (2 ** min(8, _png_depth(path)) - 1)
    alpha = "A" if "A" in image.mode or "transparency" in image.info else ""
    if image.mode == "CMYK":
        image.load()
        shown, lost = to_srgb(image, metadata.icc)
        metadata = replace(metadata, icc=None, lost=metadata.lost + lost)
    else:
        shown = image.convert(("L" if image.mode in _GREY else "RGB") + alpha)
    return np.asarray(shown).reshape(image.height, image.width, -1), metadata


def _decode_16bit(path: Path, image: ImageFile.ImageFile) -> NDArray[Any]:
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.uint16)[..., None]
    else:
        pixels = _decode_16bit_colour(path, image)
    transparent = image.info.get("transparency")
    if transparent is None or pixels.shape[2] not in (1, 3):
        return pixels
    opacity = np.where((pixels == transparent).all(axis=-1, keepdims=True), np.uint16(0), np.uint16(65535))
    return np.concatenate([pixels, opacity], axis=-1)


def _decode_16bit_colour(path: Path, image: ImageFile.ImageFile) -> NDArray[Any]:
    import cv2  # Pillow reduces 16-bit colour to 8 bit without a word

    # First, so that Pillow finds what is missing: OpenCV leaves it black.
    high = np.asarray(image.convert("RGB")).astype(np.int16)
    data = np.fromfile(path, dtype=np.uint8)
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise PictureError(f"{path}: this kind of 16-bit file cannot be decoded; convert it to an ordinary PNG")
    pixels: NDArray[np.uint16] = decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]  # OpenCV has blue first
    # Planes apart, other ranges and more: what OpenCV misreads is not what Pillow reads.
    if pixels.shape[:2] != high.shape[:2] or np.abs((pixels[..., :3] >> 8) - high).max() > 1:
        raise PictureError(
            f"{path}: Pillow and OpenCV decode this 16-bit file differently; convert it to an ordinary PNG"
        )
    grey_alpha = image.format == "PNG" and data[25] == 4
    return pixels[..., 2:] if grey_alpha else pixels


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels ``(H, W, C)`` upright, by the number of their orientation in EXIF."""
    transpose, rows, columns = _ORIENTATION.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
