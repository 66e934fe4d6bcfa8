"""The pictures of a scene by number, and the pairs that their focal lengths make."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from math import log

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.srraw.files import frame_name
from sr_lightning.data.srraw.pairs import PAIRS
from sr_lightning.data.srraw.scene import Scene, Shot, number_shots
from sr_lightning.data.srraw.seen import Grey
from sr_lightning.errors import PictureError

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Shots:
    """The shots of a scene, all turned as the first one's orientation says: the camera stood still.

    Attributes:
        files: The shots by number.
        focals: Their focal lengths in millimetres, the longest first, of those whose picture can be used.
        failures: Why the picture of another shot cannot be used.
        left_out: Files that belong to no shot, and why.
        upside_down: Whether the camera was.

    Raises:
        PictureError: If no shot can be used.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        by_stem, self.left_out = scene.shots()
        exifs: dict[str, tuple[float, int]] = {}
        why: dict[str, str] = {}
        rendered = not any(shot.jpeg for shot in by_stem.values())
        for stem, shot in by_stem.items():
            try:
                if shot.jpeg is None and not rendered:
                    raise PictureError("it has no JPEG, which other shots of the scene have")
                exifs[stem] = shot.exif()
            except PictureError as error:
                why[stem] = str(error)
        numbers = number_shots(by_stem, {stem: focal for stem, (focal, _) in exifs.items()})
        self.files: dict[int, Shot] = {number: by_stem[stem] for number, stem in numbers.items()}
        self.failures = {number: why[stem] for number, stem in numbers.items() if stem in why}
        self.left_out |= {f"{scene.name}/{by_stem[s].name}": why[s] for s in why if s not in numbers.values()}
        focals = {number: exifs[stem][0] for number, stem in numbers.items() if stem in exifs}
        self.focals = dict(sorted(focals.items(), key=lambda item: (-item[1], item[0])))
        if not self.focals:
            reason = next(iter(why.values()), "put a JPEG and a RAW file of every focal length there")
            raise PictureError(f"{scene.folder}: has no shots that can be used ({reason})")
        self.upside_down = exifs[numbers[next(iter(self.focals))]][1] == 3
        #: Whether the files are named as those of the published set.
        self.numbered = all(stem == frame_name(number) for number, stem in numbers.items())

    def name(self, frame: int) -> str:
        """Number of a shot, with its file's name where it differs, for messages."""
        shot = self.files.get(frame)
        return frame_name(frame) if self.numbered or shot is None else f"{frame_name(frame)} ({shot.name})"

    def ratios(self, reference: int) -> dict[int, float]:
        """Focal length of the reference / that of each shot."""
        return {frame: self.focals[reference] / focal for frame, focal in self.focals.items()}

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of most pictures."""
        sizes: Counter[tuple[int, int]] = Counter()
        for frame in self.focals:
            path = self.files[frame].jpeg
            if path is not None:
                with Image.open(path) as image:
                    sizes[image.height, image.width] += 1
                continue
            with suppress(PictureError):  # which is told when its turn comes
                height, width = self.files[frame].read(self.upside_down).shape[:2]
                return height, width  # one camera's RAW files are rendered alike
        if not sizes:
            raise PictureError(f"{self.scene.folder}: has no RAW file that can be read")
        return sizes.most_common(1)[0][0]

    def read(self, frame: int) -> NDArray[np.uint8]:
        """A shot's picture ``(H, W, 3)``.

        Raises:
            PictureError: If it cannot be read, or has another size than most.
        """
        pixels = self.files[frame].read(self.upside_down)
        if pixels.shape[:2] != self.size:
            raise PictureError(
                f"{self.scene.folder / self.files[frame].name}: has {pixels.shape[0]}x{pixels.shape[1]} pixels, other "
                f"shots of the scene {self.size[0]}x{self.size[1]}"
            )
        return pixels

    def grey_pictures(self, frames: Iterable[int]) -> Iterator[tuple[int, Grey]]:
        """Number and luma in [0, 1] of each shot that can be read; ``failures`` gets the others."""
        for frame in frames:
            try:
                pixels = self.read(frame)
            except PictureError as error:
                self.failures[frame] = str(error)
                continue
            yield frame, (pixels @ _LUMA) / np.float32(255)

    def pairs(self, scale: int, tolerance: float, usable: Collection[int]) -> list[tuple[int, int]]:
        """Numbers of the shots (LR, HR) that make a pair.

        Shots named as published make the published pairs, unless no focal lengths are those of one. Others make a pair
        of every shot with the one whose focal length is nearest to ``scale`` times its own, of those that can be used.

        Args:
            scale: 4 or 8.
            tolerance: How much the ratio of focal lengths may differ: 0.25 is from scale / 1.25 to 1.25 * scale.
            usable: Shots that are preferred.
        """

        def distance(lr: int, hr: int) -> float:
            return abs(log(self.focals[hr] / self.focals[lr] / scale))

        def fits(lr: int, hr: int) -> bool:
            return distance(lr, hr) <= log(1 + tolerance) + 1e-9

        published = [(lr, hr) for lr, hr in PAIRS[scale] if lr in self.files]  # many scenes have six shots
        known = [pair for pair in published if self.focals.keys() >= {*pair}]
        fitting = [pair for pair in known if fits(*pair)]
        if self.numbered and published and (fitting or not known):
            return [pair for pair in published if pair in fitting or pair not in known]
        chosen = []
        for lr in self.focals:
            candidates = sorted((hr for hr in self.focals if fits(lr, hr)), key=lambda hr: distance(lr, hr))
            if candidates:
                chosen.append((lr, next((hr for hr in candidates if hr in usable), candidates[0])))
        return chosen
