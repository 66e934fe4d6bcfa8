"""How large a result is."""

from contextlib import suppress
from math import ceil
from numbers import Real

from sr_lightning.errors import ConfigError, DataError

LARGEST_FACTOR = 64
Size = str | tuple[int, int]

_UNITS = {"GIB": 2.0**30, "MIB": 2.0**20, "GB": 1e9, "MB": 1e6}


def wanted_size(
    height: int, width: int, scale: float, factor: float | None = None, size: Size | None = None
) -> tuple[int, int]:
    """Height and width of the result: ``scale`` or ``factor`` times as large, or the largest within ``size``.

    Args:
        height: Of the picture.
        width: Of the picture.
        scale: What the network enlarges by.
        factor: Any other number.
        size: Width and height, or as in ``"3840x2160"``.

    Raises:
        ConfigError: If ``factor`` and ``size`` are both given, or one of them is none.
        DataError: If the picture is too small for ``size``.

    Example:
        >>> wanted_size(30, 40, 2), wanted_size(30, 40, 2, size="100x100")
        ((60, 80), (75, 100))
    """
    if size is None:
        return enlarged_size(height, width, scale if factor is None else factor)
    if factor is not None:
        raise ConfigError("factor and size are both given; drop one")
    try:
        wide, high = (int(part) for part in (size.lower().split("x") if isinstance(size, str) else size))
        if min(wide, high) < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ConfigError(f"size={size}: must be WIDTHxHEIGHT, such as 3840x2160") from None
    factor = min(wide / width, high / height)
    if not 0 < factor <= LARGEST_FACTOR:
        raise DataError(f"{width}x{height} pixels are {factor:.4g} times too few for size={size}")
    return enlarged_size(height, width, factor)


def enlarged_size(height: int, width: int, factor: float) -> tuple[int, int]:
    """Height and width of a picture ``factor`` times as large, rounded up as MATLAB does.

    Raises:
        ConfigError: If the factor is none.

    Example:
        >>> enlarged_size(10, 15, 2.5)
        (25, 38)
        >>> enlarged_size(10, 100, 1.1)  # 110.00000000000001 are 110
        (11, 110)
    """
    if isinstance(factor, bool) or not isinstance(factor, Real) or not 0 < factor <= LARGEST_FACTOR:
        raise ConfigError(f"factor={factor}: must be a number above 0, at most {LARGEST_FACTOR}")
    return ceil(round(height * factor, 6)) or 1, ceil(round(width * factor, 6)) or 1


def bicubic_scale(factor: float) -> int:
    """The scale that bicubic interpolation by a factor begins with, so that it is done in one step.

    From 1, a resize to the size wanted does all of it.

    Example:
        >>> bicubic_scale(3.0), bicubic_scale(2.5), bicubic_scale(0.5)
        (3, 1, 1)
    """
    return int(factor) if factor >= 1 and factor == int(factor) else 1


def bytes_of(memory: float | str | None) -> float | None:
    """Bytes of a number of GB, or of text such as ``"1.5GB"`` or ``"500MB"``; None stays None.

    Raises:
        ConfigError: If it is no number above 0.

    Example:
        >>> bytes_of(2), bytes_of("500MB")
        (2000000000.0, 500000000.0)
    """
    if memory is None:
        return None
    number, unit = str(memory).strip(), 1e9 if not isinstance(memory, str) else 0.0
    for name, size in _UNITS.items():
        if number.upper().endswith(name):
            number, unit = number[: -len(name)], size
            break
    with suppress(ValueError):
        if not isinstance(memory, bool) and unit and 0 < float(number) < float("inf"):
            return float(number) * unit
    raise ConfigError(f"memory={memory}: must be a number of GB above 0, or such as 500MB, or null for what is free")


def in_gigabytes(size: float) -> str:
    """A number of bytes in words.

    Example:
        >>> in_gigabytes(2.5e9), in_gigabytes(3e6)
        ('2.5 GB', '3 MB')
    """
    if size >= 1e8:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
