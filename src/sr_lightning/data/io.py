"""Picture files to arrays; the only file that opens pictures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from sr_lightning.data.damage import check_intact
from sr_lightning.data.disk import told
from sr_lightning.data.exif import bytes_of_notes, notes_of_raw, notes_of_tiff
from sr_lightning.errors import DataError, PictureError
from sr_lightning.files import AnyPath, whole

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

# By content, whatever the ending; among the formats left out, EPS would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
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
    with told(folder):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        known = (p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))
        files = sorted(p for p in known if not p.is_dir())
    stems = {path.stem: path for path in files}
    if len(stems) < len(files):
        twin = next(path for path in files if stems[path.stem] != path)
        raise DataError(f"{twin} and {stems[twin.stem].name}: two pictures of one name; rename one or take it out")
    if not files:
        raise DataError(f"{folder}: no pictures in this folder (known endings: {' '.join(sorted(EXTENSIONS))})")
    return files


@dataclass(frozen=True)
class Photo:
    """A picture with what belongs to it.

    Attributes:
        pixels: ``(H, W, C)``, C is 1 or 3, uint8 or uint16, upright.
        alpha: Opacity ``(H, W, 1)`` of the same type, or None.
        icc: Colour profile, as the file holds it.
        exif: The camera's notes, without the orientation, which has been applied.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    icc: bytes | None = None
    exif: bytes | None = None


def read_picture(path: AnyPath) -> NDArray[Any]:
    """Decodes a file to ``(H, W, C)``: C is 1 or 3, the type uint8 or uint16, by the file's own depth.

    Palettes and CMYK become RGB, EXIF rotation is applied, an opaque alpha channel is dropped. Of the pictures that
    cameras add to a JPEG (MPO), the first is the photograph.

    Raises:
        PictureError: If the file is missing, damaged, transparent, animated or not of colours in 8 or 16 bit.
    """
    path = Path(path)
    photo = read_photo(path)
    if photo.alpha is not None and photo.alpha.min() < np.iinfo(photo.alpha.dtype).max:
        raise PictureError(f"{path}: {_TRANSPARENT}")
    return photo.pixels


@contextmanager
def any_size() -> Iterator[None]:
    """A context without Pillow's limit of pixels, which is for uploads of strangers."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def camera_photo(path: AnyPath) -> Photo:
    """What the camera would make of its RAW file, in 16 bit, with its notes.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    from sr_lightning.data.raw import camera_rendering

    return Photo(camera_rendering(path, bits=16), exif=notes_of_raw(path))


def read_photo(path: AnyPath) -> Photo:
    """Decodes a file as :func:`read_picture` does, and keeps transparency, colour profile and EXIF.

    Raises:
        PictureError: If the file is missing, damaged, animated or not of colours in 8 or 16 bit.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1:
                raise PictureError(f"{path}: holds {frames} pictures; extract the one you want")
            check_intact(path, image)
            deep = _is_16bit(path, image)
            if image.format == "TIFF":
                _refuse_odd_tiff(path, image.tag_v2, deep)  # type: ignore[attr-defined]
            exif = image.getexif()
            if image.format == "TIFF":  # which Pillow turns itself
                orientation, exif = 1, notes_of_tiff(exif)
            else:
                orientation = exif.pop(0x0112, 1)
            pixels = _decode_16bit(path, image) if deep else _decode_8bit(path, image)
            notes = bytes_of_notes(exif)
            icc = image.info.get("icc_profile") if image.mode not in ("CMYK", "YCbCr") else None
        pixels = _turn(pixels, orientation)
        channels = 1 if pixels.shape[2] <= 2 else 3
        alpha = pixels[..., channels:] if pixels.shape[2] > channels else None
        return Photo(pixels[..., :channels], alpha, icc, notes)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        why = "it is empty" if path.stat().st_size == 0 else "it has no format that can be read, or a damaged beginning"
        raise PictureError(f"{path}: not a picture: {why}") from None
    # Decoders raise whatever they trip over; a damaged file must never end in a traceback.
    except Exception as error:
        raise PictureError(f"{path}: cannot be decoded ({_reason(error)})") from None


def is_deep(path: AnyPath) -> bool:
    """Whether :func:`read_picture` gives uint16, from the file's header.

    Raises:
        PictureError: If the file is missing or no picture.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return _is_16bit(path, image)
    # As in picture_size.
    except Exception as error:
        raise PictureError(f"{path}: not a picture, of no known format, or damaged ({_reason(error)})") from None


def picture_size(path: AnyPath, upright: bool = True) -> tuple[int, int]:
    """Height and width of what :func:`read_picture` gives, from the file's header.

    Args:
        path: The file.
        upright: Turned as EXIF says, which may stand at the end of a PNG, so that Pillow decodes it; without, nothing
            ever is decoded.

    Raises:
        PictureError: If the file is missing or no picture.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            turned = upright and _ORIENTATION.get(image.getexif().get(0x0112, 1), (False,))[0]
            return (image.width, image.height) if turned else (image.height, image.width)
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    # As in read_picture: decoders raise whatever they trip over.
    except Exception as error:
        raise PictureError(f"{path}: not a picture, of no known format, or damaged ({_reason(error)})") from None


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
        with whole(path) as temporary:
            image.save(temporary)
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be written ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """What went wrong, without the path that every message begins with anyway."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _is_16bit(path: Path, image: ImageFile.ImageFile) -> bool:
    """By the file's declared depth: a dark 16-bit picture is still one."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24:] == b"\x10"
    if image.format == "TIFF":
        return 16 in image.tag_v2.get(258, ())  # type: ignore[attr-defined]
    if image.format == "PPM":
        arguments = image.tile[0].args
        return image.mode == "I" or (isinstance(arguments, tuple) and arguments[-1] > 255)
    return False


def _refuse_odd_tiff(path: Path, tags: Mapping[int, Any], deep: bool) -> None:
    """Refuses what would be decoded to something else than the picture, without a word."""
    if deep and tags.get(274, 1) != 1:  # Pillow and OpenCV turn it themselves, each in its own way
        raise PictureError(f"{path}: a 16-bit TIFF with an orientation tag; save it upright")
    if set(tags.get(339, (1,))) != {1}:
        raise PictureError(f"{path}: pixels are signed or floating-point numbers; convert the file to PNG")
    if deep and tags.get(262) == 0:  # neither Pillow nor OpenCV inverts 16 bit
        raise PictureError(f"{path}: a 16-bit TIFF where 0 is white; convert the file to PNG")


def _decode_8bit(path: Path, image: ImageFile.ImageFile) -> NDArray[Any]:
    if image.mode not in _GREY + _COLOUR:
        raise PictureError(f"{path}: pixels of kind {image.mode!r} are neither 8 nor 16 bit; convert the file to PNG")
    alpha = "A" if "A" in image.mode or "transparency" in image.info else ""
    pixels = np.asarray(image.convert(("L" if image.mode in _GREY else "RGB") + alpha))
    return pixels.reshape(image.height, image.width, -1)


def _decode_16bit(path: Path, image: ImageFile.ImageFile) -> NDArray[Any]:
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.uint16)[..., None]
    else:
        pixels = _decode_16bit_colour(path, image)
    transparent = image.info.get("transparency")
    if transparent is not None and (pixels[..., :3] == transparent).all(axis=-1).any():
        raise PictureError(f"{path}: {_TRANSPARENT}")
    return pixels


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


def _turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    transpose, rows, columns = _ORIENTATION.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
