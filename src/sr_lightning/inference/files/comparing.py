"""What a result is compared with."""

from sr_lightning.data.files.io import Photo
from sr_lightning.inference.loading import load
from sr_lightning.inference.sizes import bicubic_scale


def bicubic_of(photo: Photo, size: tuple[int, int], bits: int | None) -> Photo:
    """The bicubic enlargement of a picture to a size, as ``model=bicubic`` makes it."""
    factors = {wanted / side for wanted, side in zip(size, photo.pixels.shape, strict=False)}
    scale = bicubic_scale(factors.pop()) if len(factors) == 1 else 1
    return load("bicubic", scale, device="cpu", tile=1024).photo(photo, size=size, bits=bits)
