"""What a result is compared with."""

from sr_lightning.data.files.io import Photo
from sr_lightning.inference.loading import load


def bicubic_of(photo: Photo, size: tuple[int, int], bits: int | None) -> Photo:
    """The bicubic enlargement of a picture to a size."""
    scale = max(1, round(size[0] / photo.pixels.shape[0]))
    return load("bicubic", scale, device="cpu", tile=1024).photo(photo, size=size, bits=bits)
