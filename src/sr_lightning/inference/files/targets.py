"""What results are called, and what they may not replace."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from sr_lightning.config import CONF_DIR
from sr_lightning.config.paths import refuse_unwritable
from sr_lightning.data.files.formats import ANIMATIONS, BY_EXTRA, LARGEST, OTHERS, WRITABLE
from sr_lightning.data.files.formats import EXTENSIONS as PICTURES
from sr_lightning.data.files.pages.choice import wanted_pages
from sr_lightning.data.files.pages.reading import pages_of
from sr_lightning.data.files.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.errors import ConfigError, DataError, PictureError, ResultExistsError

#: Pictures whose results are PNG by default, because nothing writes their own format.
_TO_PNG = ({*PICTURES, *BY_EXTRA, ".gif"} - WRITABLE) | RAW_EXTENSIONS
#: Endings of results that hold one picture or several.
ANY_PICTURES = WRITABLE | ANIMATIONS


@dataclass(frozen=True)
class Job:
    """A picture, the folder for its result, and an earlier picture whose result would have the same name."""

    source: Path
    folder: Path
    twin: Path | None = None


def result_path(job: Job, cfg: DictConfig, factor: float, ending: str, kinds: Iterable[str] = WRITABLE) -> Path:
    """Where the result of a job goes.

    Args:
        job: The picture.
        cfg: With ``pattern``, ``format``, ``name`` and ``overwrite``.
        factor: Of the enlargement; in the name stands that of the config, where it has one.
        ending: Of the result, unless the config has a ``format``; PNG if it is none of ``kinds``.
        kinds: Endings that can be written.

    Raises:
        ConfigError: If the pattern gives no name.
        PictureError: If a file of that name or the picture itself is there, the format cannot be written for it, or
            nothing can be written into the folder.
    """
    if job.twin is not None:
        raise PictureError(
            f"{job.source}: its result would have the name of that of {job.twin.name}; pattern='%name_%ext_x%factor' "
            "has the picture's ending in the name"
        )
    wanted = f".{str(cfg.format).lower().lstrip('.')}" if cfg.format else ending
    if wanted not in kinds:
        if cfg.format:
            names = ", ".join(sorted(kind[1:] for kind in kinds))
            raise PictureError(f"{job.source}: format={cfg.format} cannot be written for it; there are {names}")
        wanted = ".png"
    source = job.source
    factor = cfg.get("factor") or factor
    words = {"name": source.stem, "model": cfg.name or "sr", "factor": f"{factor:.4g}", "ext": source.suffix[1:]}
    name = _filled(str(cfg.pattern), words)
    if cfg.pattern is None or not name or "/" in name:
        raise ConfigError(f"pattern={cfg.pattern}: must give a file's name; folders go into output=")
    target = job.folder / f"{name}{wanted}"
    try:
        if target.resolve() == job.source.resolve():
            raise PictureError(f"{target}: the result would replace its own picture; change pattern= or output=")
        refuse_to_overwrite(target, cfg)
        refuse_unwritable(job.folder)
    except OSError as error:  # such as a name that is too long
        raise PictureError(
            f"{target}: cannot be written ({error.strerror}); choose a shorter pattern= or another output="
        ) from None
    return target


def bicubic_beside(target: Path) -> Path:
    """The file of the bicubic enlargement that is compared with a result.

    Example:
        >>> bicubic_beside(Path("photo_x2.png")).name
        'photo_x2_bicubic.png'
    """
    return target.with_stem(f"{target.stem}_bicubic")


def refuse_to_overwrite(path: Path | str, cfg: DictConfig) -> None:
    """Raises a ``ResultExistsError`` if a file of that name is there, unless the config has ``overwrite``."""
    if Path(path).exists() and cfg.overwrite is not True:
        raise ResultExistsError(
            f"{path}: is there already; overwrite=true replaces it, overwrite=skip leaves it, and output= or "
            "pattern='%name_%model_x%factor' make another"
        )


def refuse_too_large(path: Path | str, height: int, width: int) -> None:
    """Raises a ``PictureError`` if the format of a file holds no picture of that size."""
    ending = Path(path).suffix[1:]
    largest = LARGEST.get(f".{ending.lower()}")
    if largest and max(height, width) > largest:
        raise PictureError(f"{path}: {width}x{height} pixels, and {ending} holds {largest} a side; choose format=png")


def with_twins(jobs: list[Job], cfg: DictConfig) -> list[Job]:
    """The same jobs, of which each knows an earlier one whose result would have its name."""
    first: dict[Path, Path] = {}
    return [replace(job, twin=_twin(job, cfg, first)) for job in jobs]


def _twin(job: Job, cfg: DictConfig, first: dict[Path, Path]) -> Path | None:
    """The picture that has a name which the job's results need; otherwise they have it from now on."""
    ending = job.source.suffix.lower()
    if ending in OTHERS:  # which nothing reads
        return None
    ending = f".{str(cfg.format or ending).lower().lstrip('.')}"
    if ending in _TO_PNG and not (ending in ANIMATIONS and _stays(job.source, cfg)) and not cfg.format:
        ending = ".png"
    name = _filled(str(cfg.pattern), {"name": job.source.stem, "ext": job.source.suffix[1:]})
    target = job.folder.resolve() / f"{name}{ending}"
    targets = [target, bicubic_beside(target)] if cfg.get("compare") else [target]
    if twin := next((first[path] for path in targets if path in first), None):
        return twin
    first.update(dict.fromkeys(targets, job.source))
    return None


def _stays(source: Path, cfg: DictConfig) -> bool:
    """Whether several pictures of a file become one file of its own format."""
    with suppress(DataError):  # which is told when its turn comes
        pages = pages_of(source)
        return pages is not None and len(wanted_pages(source, cfg.pages, pages.count)) > 1
    return False


def is_result(path: Path, pattern: str, pictures: set[Path], model: str = "sr") -> bool:
    """Whether a file is called as the result of one of the pictures would be, of this model or one of the library's.

    Example:
        >>> pictures = {Path("photos/a")}
        >>> is_result(Path("photos/a_x2.5.png"), "%name_x%factor", pictures)
        True
        >>> is_result(Path("photos/a_x2_bicubic.png"), "%name_x%factor", pictures)
        True
        >>> is_result(Path("photos/b_x2.png"), "%name_x%factor", pictures)
        False
    """
    found = _form(pattern, model).fullmatch(path.stem) if pattern.count("%name") == 1 else None
    return found is not None and found["name"] != path.stem and path.with_name(found["name"]) in pictures


@cache
def _form(pattern: str, model: str) -> re.Pattern[str]:
    """What results are called, once for all files of a job."""
    configs = [*(CONF_DIR / "model").glob("*.yaml")]
    targets = {str(OmegaConf.select(OmegaConf.load(file), "_target_")) for file in configs}
    classes = {target.rpartition(".")[2].lower() for target in targets}
    models = {model, "sr", *classes, *(file.stem for file in configs)}
    endings = {ending[1:] for ending in PICTURES | _TO_PNG}
    words = {
        "name": "(?P<name>.+)",
        "factor": r"[\d.]+(?:e[+-]?\d+)?",
        "model": f"(?:{'|'.join(map(re.escape, models))})",
        "ext": f"(?i:{'|'.join(endings)})",
    }
    form = re.sub("%(name|model|factor|ext)", lambda word: words[word[1]], re.escape(pattern), count=0)
    return re.compile(f"{form}(?:_bicubic)?")


def _filled(pattern: str, words: dict[str, str]) -> str:
    """At once, so that a name may hold a word."""
    return re.sub("%(name|model|factor|ext)", lambda word: words.get(word[1], word[0]), pattern)
