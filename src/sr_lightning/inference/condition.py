"""How damaged a picture is: what decides which network enlarges it."""

from dataclasses import dataclass

from sr_lightning.data.files.io import Photo


@dataclass(frozen=True)
class Condition:
    noise: float
    jpeg_quality: int | None = None

    @property
    def damaged(self) -> bool:
        return self.noise > 3 or (self.jpeg_quality or 100) < 90

    def __str__(self) -> str:
        jpeg = f", JPEG of quality {self.jpeg_quality}" if self.jpeg_quality else ""
        return f"noise {self.noise:.1f}{jpeg}"


def condition_of(photo: Photo) -> Condition:
    return Condition(0.0, photo.metadata.jpeg_quality)
