"""Animations and files of several pages, picture by picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.data.files.formats import APNG
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.pages.choice import wanted_pages
from sr_lightning.data.files.pages.layout import Page, Pages
from sr_lightning.data.files.pages.reading import pages_of, read_pages
from sr_lightning.data.files.pages.writing import ending_of, fit_page, refuse_format, write_pages
from sr_lightning.data.files.raw import is_raw
from sr_lightning.inference.files.notes import note, warn
from sr_lightning.inference.files.targets import ANY_PICTURES, Job, refuse_too_large, result_path
from sr_lightning.inference.memory import refuse_without_room
from sr_lightning.inference.upscaler import Upscaler

WantedSize = Callable[[int, int], tuple[int, int]]
#: Every tenth of the first thirty pictures decides which network enlarges all of them.
_SAMPLE, _STEP = 30, 10


def several_of(source: Path, cfg: DictConfig) -> tuple[Pages, range] | None:
    """The pictures of a file that are to become one result, by their numbers; None if that is one picture.

    Raises:
        PictureError: If the file is damaged, or does not hold what ``pages`` asks for.
    """
    found = None if is_raw(source) else pages_of(source)  # RAW files are TIFFs of several pictures
    if found is None:
        return None
    numbers = wanted_pages(source, cfg.pages, found.count)
    return (found, numbers) if len(numbers) > 1 else None


def upscale_pages(
    job: Job,
    pages: Pages,
    numbers: range,
    upscaler: Upscaler,
    cfg: DictConfig,
    size_of: WantedSize,
    on_progress: Callable[[float], None],
) -> Path:
    """Enlarges pictures of one file into one file, and gives it.

    One picture after the other is read, enlarged and written, so memory does not grow with their number.

    Args:
        job: The file.
        pages: What it holds.
        numbers: Which of its pictures.
        upscaler: Of one picture.
        cfg: Of ``upscale``.
        size_of: Height and width wanted for those of a picture.
        on_progress: Told which share is done.

    Raises:
        PictureError: If a picture cannot be read, or the result not be written.
    """
    ending = f".{str(cfg.format).lower().lstrip('.')}" if cfg.format else ending_of(pages)
    refuse_format(pages, len(numbers), ending)
    height, width = pages.sizes[numbers[0] - 1]
    target = result_path(job, cfg, size_of(height, width)[1] / width, ending, ANY_PICTURES)
    run = _Run(job.source, pages, numbers, upscaler, cfg, size_of, target, on_progress)
    bytes_at_most = sum(8 * rows * columns for rows, columns in map(run.size, numbers))
    write_pages(
        target,
        run.results(),
        pages,
        len(numbers),
        overwrite=cfg.overwrite is True,
        quality=cfg.quality,
        size=bytes_at_most,
    )
    on_progress(1.0)
    run.warn()
    return target


@dataclass
class _Run:
    """One file on its way."""

    source: Path
    pages: Pages
    numbers: range
    upscaler: Upscaler
    cfg: DictConfig
    size_of: WantedSize
    target: Path
    on_progress: Callable[[float], None]
    said: dict[str, list[int]] = field(default_factory=dict)  # sentences, and the pictures that they are about
    lost: dict[str, None] = field(default_factory=dict)

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of a result, as far as the file declares them."""
        return self.size_of(*self.pages.sizes[number - 1])

    def _factor(self, number: int) -> float:
        sizes = zip(self.size(number), self.pages.sizes[number - 1], strict=True)
        return max(wanted / given for wanted, given in sizes)

    def results(self) -> Iterator[Page]:
        """The enlarged pictures."""
        check = partial(refuse_without_room, memory=self.cfg.memory, wanted=self.size_of, bits=self.cfg.bits)
        check(self.source)
        # In an animation, parts of the picture are decoded; the result is as large as the whole one, which was checked.
        part = partial(check, wanted=None) if self.pages.animated else check
        covered = self.pages.cover is not None and self.target.suffix.lower() in APNG
        total = len(self.numbers) + covered
        self.upscaler.on_note = partial(note, self.source)
        sample = (page.photo for page in read_pages(self.pages, self.numbers[:_SAMPLE:_STEP], part))
        self.upscaler = self.upscaler.chosen_for(sample, max(map(self._factor, self.numbers)))
        read = read_pages(self.pages, self.numbers, part, with_cover=covered)
        for done, page in enumerate(read):
            number = self.numbers[done - covered] if done >= covered else 0
            yield page._replace(photo=self._enlarged(page, number, done, total))

    def _enlarged(self, page: Page, number: int, done: int, total: int) -> Photo:
        height, width = page.photo.pixels.shape[:2]
        size = self.size_of(height, width)
        refuse_too_large(self.target, *size)
        photo, lost = fit_page(self.target, self.pages, page)
        self.lost |= dict.fromkeys(photo.metadata.lost + lost)
        upscaler = self.upscaler.for_factor(max(size[0] / height, size[1] / width)).with_sidecar_files(self.source)
        upscaler.on_warning = lambda sentence: self.said.setdefault(sentence, []).append(number)
        return upscaler.photo(
            replace(photo, metadata=replace(photo.metadata, lost=())),
            size=size,
            bits=self.cfg.bits,
            on_progress=lambda share: self.on_progress((done + share) / total),
        )

    def warn(self) -> None:
        """Says once what was said of pictures, and what the result lacks."""
        sentences = [f"{self._which(about)}: {sentence}" for sentence, about in self.said.items()]
        sentences += [f"the result is without {', '.join(self.lost)}"] if self.lost else []
        for sentence in sentences:
            warn(self.source, f"{sentence}")

    def _which(self, about: list[int]) -> str:
        word = self.pages.word
        return f"{word} {about[0]}" if len(about) == 1 else f"{len(about)} {word}s, the first of them {about[0]}"
