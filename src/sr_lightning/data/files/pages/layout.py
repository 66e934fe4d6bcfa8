"""What a file of several pictures holds."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import Metadata

#: What becomes of a frame's place when its time is over.
After = Literal["keep", "clear", "restore"]


class Frame(NamedTuple):
    """A part of an animation.

    Attributes:
        left: Where it lies on the canvas, in pixels.
        top: The same.
        height: Of the part.
        width: Of the part.
        time: Seconds for which it is shown.
        over: Whether it is laid over what is there; otherwise it takes its place.
        after: What becomes of its place then.
        source: What its format knows of its pixels.
    """

    left: int
    top: int
    height: int
    width: int
    time: Fraction
    over: bool
    after: After
    source: Any


@dataclass(frozen=True)
class Pages:
    """A file of several pictures, as a walk through it finds them; nothing is decoded.

    Attributes:
        path: The file.
        kind: Its format, as Pillow calls it.
        sizes: Height and width of each picture, as they are stored.
        animated: Whether they are frames of an animation; otherwise each is a page of its own.
        plays: How often an animation is played; 0 stands for ever.
        opaque: Whether no pixel of any frame is transparent for sure.
        cover: Source of a picture that an APNG shows where animations are not known; None without.
        metadata: Metadata that Pillow does not read.
        lost: Contents that no result has, in words.
        parts: What the format's reader needs: frames, or places in the file.
    """

    path: Path
    kind: Literal["GIF", "PNG", "TIFF", "WEBP", "AVIF"]
    sizes: tuple[tuple[int, int], ...]
    animated: bool = True
    plays: int = 0
    opaque: bool = False
    cover: Any = None
    metadata: Metadata | None = None
    lost: tuple[str, ...] = ()
    parts: tuple[Any, ...] = ()

    @property
    def count(self) -> int:
        """How many pictures there are, without a cover."""
        return len(self.sizes)

    @property
    def word(self) -> str:
        """What one of the pictures is called."""
        return "frame" if self.animated else "page"


class Page(NamedTuple):
    """A picture of several, and the seconds for which it is shown; None if it is no frame."""

    photo: Photo
    time: Fraction | None = None
