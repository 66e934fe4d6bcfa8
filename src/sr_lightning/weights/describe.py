"""A network in one line, and all that a file of weights tells."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.elsewhere import network_elsewhere
from sr_lightning.weights.identify import OURS, identify
from sr_lightning.weights.known_files import known_arguments, known_file
from sr_lightning.weights.reading import WeightsFile
from sr_lightning.weights.rebuild import network_class, without_values

#: Arguments that a line about a network names, and how.
_WORDS = {
    "num_groups": "{} groups",
    "num_blocks": "{} blocks",
    "num_layers": "{} layers",
    "num_convs": "{} convolutions",
    "num_recursions": "{} recursions",
    "num_units": "{} units",
    "num_features": "{} features",
    "growth_rate": "growth {}",
    "trunk": "trunk {}",
}


def in_words(kind: type[SuperResolutionModule], arguments: Mapping[str, Any]) -> str:
    """A network in a few words.

    Example:
        >>> from sr_lightning.models import EDSR
        >>> in_words(EDSR, {"num_features": 64, "num_blocks": 16, "scale": 4})
        'EDSR, 16 blocks, 64 features, x4, RGB'
    """
    parts = [_counted(words, arguments[name]) for name, words in _WORDS.items() if arguments.get(name) is not None]
    if kind.any_scale:
        return f"{', '.join([kind.__name__, *parts])}, any scale, RGB"
    scales = arguments.get("scales") or [arguments[name] for name in ("scale",) if name in arguments]
    channels = "luma" if arguments.get("channels", getattr(kind, "channels", 3)) == 1 else "RGB"
    return ", ".join([kind.__name__, *parts, " ".join(f"x{scale}" for scale in scales), channels])


def _counted(words: str, value: Any) -> str:
    """With a number, or one for each group."""
    number = "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return words.format(number).removesuffix("s" if value == 1 else "")


def facts(file: WeightsFile) -> dict[str, str]:
    """All that a file of weights tells, in plain words; its network is not run.

    Example:
        >>> from sr_lightning.weights.choose import find_weights
        >>> facts(find_weights("span", 3))["network"]
        'SPAN, 6 blocks, 28 features, x3, RGB'
    """
    size, known = file.path.stat().st_size, known_file(file)
    kinds = Counter(str(value.dtype).removeprefix("torch.") for value in file.state.values())
    numbers = sum(value.numel() for value in file.state.values())
    broken = sum(not bool(value.isfinite().all()) for value in file.state.values() if value.is_floating_point())
    about = {
        "file": f"{file.path} ({size:,} bytes)",
        "format": file.kind + (f", under {'.'.join(file.inside)}" if file.inside and not file.is_ours else ""),
        "tensors": f"{len(file.state)} with {numbers:,} numbers ({', '.join(kinds)})",
        "checksum": file.checksum,
        **({"published as": known.name, "licence": known.licence or "none is stated"} if known else {}),
        **({"damage": f"{broken} tensors hold NaN or infinity"} if broken else {}),
    }
    return about | (_of_ours(file) if file.is_ours else _of_others(file))


def _of_ours(file: WeightsFile) -> dict[str, str]:
    arguments = dict(file.arguments or {})
    noted = {name: str(value) for name, value in (file.note or {}).items() if value not in ("", None)}
    return {
        "network": in_words(network_class(file.written_by, file.path), arguments),
        "arguments": _listed(arguments),
        "names": OURS,
        **noted,
    }


def _of_others(file: WeightsFile) -> dict[str, str]:
    try:
        found = identify(file, **known_arguments(file))
    except CheckpointError as error:
        return {"network": str(error)}
    if found is None:
        return {"network": network_elsewhere(file.state) or "unknown", "first tensors": ", ".join(list(file.state)[:5])}
    with without_values():
        blank: Any = found.kind(**found.arguments)
    unseen = [f"{name}={getattr(blank, name)}" for name in found.kind.untraced]
    about = {
        "network": in_words(found.kind, found.arguments),
        "arguments": _listed(found.arguments),
        "names": found.whose,
        "parameters": f"{sum(p.numel() for p in blank.parameters()):,}",
    }
    if unseen:
        about["not in the file"] = f"{', '.join(unseen)}; these are usual, and upscale tries them on a photograph"
    return about


def _listed(arguments: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())
