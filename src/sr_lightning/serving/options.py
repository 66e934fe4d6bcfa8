"""What a request may ask for, as ``upscale`` knows it."""

from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig

from sr_lightning.data.files.formats import WRITABLE
from sr_lightning.errors import ConfigError, nearest
from sr_lightning.inference.settings import check_options
from sr_lightning.inference.sizes import LARGEST_FACTOR

#: Options of the query, and how their values are read.
OPTIONS = {"factor": float, "size": str, "format": str, "quality": int, "bits": int}
_TYPES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/tiff": "tif",
    "image/bmp": "bmp",
}


def asked_options(query: Iterable[tuple[str, str]], accept: str, plain: DictConfig) -> dict[str, Any]:
    """The options of a request, each as ``upscale`` takes it.

    Args:
        query: Names and values as they came.
        accept: The header that names types of pictures; it counts where ``format`` is left out.
        plain: The config of ``upscale`` for a request without options.

    Raises:
        ConfigError: If there is no such option, or its value has no meaning.

    Example:
        >>> from sr_lightning.config import compose
        >>> asked_options([("factor", "2.5")], "image/webp, */*;q=0.1", compose("upscale"))
        {'factor': 2.5, 'format': 'webp'}
    """
    options = dict[str, Any]()
    for name, text in query:
        if name not in OPTIONS:
            raise ConfigError(f"{name[:40]}: is no option; {nearest(name[:40], OPTIONS)}")
        if name in options:
            raise ConfigError(f"{name}: is given twice")
        try:
            options[name] = OPTIONS[name](text)
        except ValueError:
            kind = "a whole number" if OPTIONS[name] is int else "a number"
            raise ConfigError(f"{name}={text[:40]}: must be {kind}") from None
    factor = options.get("factor", 1)
    if not 0 < factor <= LARGEST_FACTOR:
        raise ConfigError(f"factor={factor:g}: must be above 0 and at most {LARGEST_FACTOR}")
    if not options.get("format") and (accepted := _accepted(accept)):
        options["format"] = accepted
    if "format" in options:
        options["format"] = options["format"].lower().lstrip(".")
        if f".{options['format']}" not in {*WRITABLE, ".gif"} - {".dng"}:
            known = ", ".join(sorted(kind[1:] for kind in {*WRITABLE, ".gif"} - {".dng"}))
            raise ConfigError(f"format={options['format'][:40]}: cannot be written; there are {known}")
    check_options(with_options(plain, options))
    return options


def with_options(plain: DictConfig, options: Mapping[str, Any]) -> DictConfig:
    """The config of ``upscale`` for one request."""
    cfg = plain.copy()
    for key, value in options.items():
        cfg[key] = value
    return cfg


def _accepted(accept: str) -> str | None:
    """The format of the picture that a header likes most, if it names one.

    Example:
        >>> _accepted("image/png;q=0.5, image/webp"), _accepted("*/*")
        ('webp', None)
    """
    liked = list[tuple[float, str]]()
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        weights = [word[2:] for word in parameters if word.startswith("q=")]
        try:
            liked.append((float(weights[0]) if weights else 1.0, kind))
        except ValueError:
            continue
    best = max((weight for weight, _ in liked), default=0.0)
    return next((_TYPES[kind] for weight, kind in liked if weight == best > 0 and kind in _TYPES), None)
