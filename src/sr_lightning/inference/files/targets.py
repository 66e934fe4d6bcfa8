"""What results are called, and what they may not replace."""

import re
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from sr_lightning.inference.files.places import path_of
from sr_lightning.stores import is_url

#: Pictures whose results are PNG by default, because nothing writes their own format.
_TO_PNG = ({*PICTURES, *BY_EXTRA, ".gif"} - WRITABLE) | RAW_EXTENSIONS
#: Endings of results that hold one picture or several.
ANY_PICTURES = WRITABLE | ANIMATIONS


@dataclass(frozen=True, slots=True)
class Job:
    """A picture and the folder for its result.

    Attributes:
        source: The picture's file; of one in a store, a path that has its name.
        folder: For the result; of one in a store, a path that has its name.
        twin: In messages, an earlier picture whose result would have the same name.
        url: Where the picture is, if it is in a store.
        into: The folder's URL, if it is in a store.
        taken: Names of results that were there at the start; without, the disk is asked when it is time.
    """

    source: Path
    folder: Path
    twin: str | None = None
    url: str | None = None
    into: str | None = None
    taken: Container[str] | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The picture in messages."""
        return self.url or str(self.source)

    def place_of(self, result: Path) -> str:
        """Where a result of that name goes, in messages."""
        return f"{self.into}/{result.name}" if self.into else str(self.folder / result.name)


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
        raise _result_of_twin(job, job.twin)
    wanted = f".{str(cfg.format).lower().lstrip('.')}" if cfg.format else ending
    if wanted not in kinds:
        if cfg.format:
            names = ", ".join(sorted(kind[1:] for kind in kinds))
            raise PictureError(f"{job.name}: format={cfg.format} cannot be written for it; there are {names}")
        wanted = ".png"
    name = _name_of_result(job.source, cfg, factor)
    if cfg.pattern is None or not name or "/" in name:
        raise ConfigError(f"pattern={cfg.pattern}: must give a file's name; folders go into output=")
    target = job.folder / f"{name}{wanted}"
    try:
        same = job.place_of(target) == job.url if job.into else target.resolve() == job.source.resolve()
        if same:
            raise PictureError(
                f"{job.place_of(target)}: the result would replace its own picture; change pattern= or output="
            )
        refuse_to_overwrite(target, cfg, job)
        refuse_unwritable(job.folder)
    except OSError as error:  # such as a name that is too long
        raise PictureError(
            f"{target}: cannot be written ({error.strerror}); choose a shorter pattern= or another output="
        ) from None
    return target


def _result_of_twin(job: Job, twin: str) -> PictureError:
    """The error for a picture whose result has the name of another's; ``%ext`` tells apart what is not called alike."""
    other = Path(path_of(twin) if is_url(twin) else twin)
    if other.name == job.source.name:
        advice = "enlarge one of them alone, with another output="
    else:
        advice = "pattern='%name_%ext_x%factor' has the picture's ending in the name"
    called = other.name if other.parent == job.source.parent and other.name != job.source.name else twin
    return PictureError(f"{job.name}: its result would have the name of that of {called}; {advice}")


def bicubic_beside(target: Path) -> Path:
    """The file of the bicubic enlargement that is compared with a result.

    Example:
        >>> bicubic_beside(Path("photo_x2.png")).name
        'photo_x2_bicubic.png'
    """
    return target.with_stem(f"{target.stem}_bicubic")


def refuse_to_overwrite(path: Path | str, cfg: DictConfig, job: Job | None = None) -> None:
    """Raises a ``ResultExistsError`` if a file of that name is there, unless the config has ``overwrite``.

    Args:
        path: The file.
        cfg: With ``overwrite``.
        job: Of the result. If it knows what was there at the start, that alone counts.
    """
    if job is not None and (job.taken is not None or job.into):
        place = job.place_of(Path(path))
        there = job.taken is not None and place in job.taken
    else:
        place, there = str(path), cfg.overwrite is not True and Path(path).exists()
    if there:
        raise ResultExistsError(
            f"{place}: is there already; overwrite=true replaces it, overwrite=skip leaves it, and output= or "
            "pattern='%name_%model_x%factor' make another"
        )


def refuse_known_result(job: Job, cfg: DictConfig, scale: float, ending: str) -> None:
    """Raises a ``ResultExistsError`` if a result is there, as far as names tell, before the picture is opened.

    Args:
        job: The picture.
        cfg: With ``pattern``, ``format``, ``size``, ``name`` and ``overwrite``.
        scale: Of the network.
        ending: Of the result, unless the config has a ``format``.
    """
    if cfg.size is not None or job.twin is not None:
        return
    if cfg.format:
        endings = [f".{str(cfg.format).lower().lstrip('.')}"]
    elif ending == ".gif":  # of one picture, it becomes a PNG; what is in a store is not opened to see
        endings = [".gif", ".png"] if job.url else []
    else:
        endings = [ending if ending in ANY_PICTURES else ".png"]
    name = _name_of_result(job.source, cfg, scale)
    with suppress(OSError):  # such as a name that is too long, which is told in its turn
        for each in endings:
            refuse_to_overwrite(job.folder / f"{name}{each}", cfg, job)


def refuse_too_large(path: Path | str, height: int, width: int) -> None:
    """Raises a ``PictureError`` if the format of a file holds no picture of that size."""
    ending = Path(path).suffix[1:]
    largest = LARGEST.get(f".{ending.lower()}")
    if largest and max(height, width) > largest:
        raise PictureError(f"{path}: {width}x{height} pixels, and {ending} holds {largest} a side; choose format=png")


def with_twins(jobs: list[Job], cfg: DictConfig) -> list[Job]:
    """The same jobs, of which each knows an earlier one whose result would have its name."""
    first: dict[str, str] = {}
    names_of = _names_of_results(cfg)
    return [replace(job, twin=twin) if (twin := _twin(job, names_of, first)) else job for job in jobs]


def _twin(job: Job, names_of: Callable[[Job], list[str]], first: dict[str, str]) -> str | None:
    """The picture that has a name which the job's results need; otherwise they have it from now on."""
    names = names_of(job)
    if twin := next((first[name] for name in names if name in first), None):
        return twin
    first.update(dict.fromkeys(names, job.name))
    return None


def _names_of_results(cfg: DictConfig) -> Callable[[Job], list[str]]:
    """What names the results of a job, but for the factor. The config is read once: a million jobs ask."""
    pattern, compare = str(cfg.pattern), bool(cfg.get("compare"))
    wanted = f".{str(cfg.format).lower().lstrip('.')}" if cfg.format else None
    folders = cache(lambda folder: str(folder.resolve()))

    def names_of(job: Job) -> list[str]:
        source = job.source
        own = source.suffix.lower()
        if own in OTHERS:  # which nothing reads
            return []
        endings = [wanted or own]
        if endings[0] in _TO_PNG and not wanted:
            if own == ".gif" and job.url:  # only its bytes tell which it becomes
                endings = [".gif", ".png"]
            elif not (own in ANIMATIONS and _stays(source, cfg)):
                endings = [".png"]
        folder = job.into or folders(job.folder)
        stem = f"{folder}/{_filled(pattern, {'name': source.stem, 'ext': source.suffix[1:]})}"
        return [f"{stem}{beside}{ending}" for ending in endings for beside in (["", "_bicubic"] if compare else [""])]

    return names_of


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
    name = _named_by(path.stem, pattern, model)
    return name is not None and path.with_name(name) in pictures


def without_results(found: list[Path], pattern: str, model: str) -> list[Path]:
    """The files that are not called as the result of another of them would be."""
    if not any(_named_by(path.stem, pattern, model) for path in found):
        return found
    stems = {path.with_suffix("") for path in found}
    return [path for path in found if not is_result(path, pattern, stems, model)]


def _named_by(stem: str, pattern: str, model: str) -> str | None:
    """The name of the picture whose result would be called so."""
    found = _form(pattern, model).fullmatch(stem) if pattern.count("%name") == 1 else None
    return found["name"] if found is not None and found["name"] != stem else None


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


def _name_of_result(source: Path, cfg: DictConfig, factor: float) -> str:
    factor = cfg.get("factor") or factor
    words = {"name": source.stem, "model": cfg.name or "sr", "factor": f"{factor:.4g}", "ext": source.suffix[1:]}
    return _filled(str(cfg.pattern), words)


def _filled(pattern: str, words: dict[str, str]) -> str:
    """At once, so that a name may hold a word."""
    return re.sub("%(name|model|factor|ext)", lambda word: words.get(word[1], word[0]), pattern)
