"""Networks by their names, known without torch, which takes seconds to import."""

from pathlib import Path

from sr_lightning.atomic import expand_home
from sr_lightning.config.paths import WEIGHT_FILES
from sr_lightning.errors import CheckpointError, ConfigError, nearest
from sr_lightning.weights.realesrgan import NAMES
from sr_lightning.weights.shipped import pretrained_networks

#: Configs of networks that enlarge without a file of weights.
NEED_NO_WEIGHTS = frozenset({"auto", "bicubic", "guided_filter", "packed_bicubic", "zssr"})


def refuse_what_names_no_weights(named: str | Path) -> None:
    """Checks a name of weights, unless it may be one of the Hub.

    Raises:
        ConfigError: If it is no file or folder, and no network that is shipped or installed.
        CheckpointError: If it names a file that there is not.

    Example:
        >>> refuse_what_names_no_weights("spam")
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: spam: no file or folder of weights, and no shipped network; ...
    """
    path, known = expand_home(named), [*pretrained_networks(), *NAMES]
    if path.exists() or str(named) in known:
        return
    if path.suffix.lower() in WEIGHT_FILES or Path(str(named).partition("/")[0]).is_dir():
        raise CheckpointError(f"{named}: no such file of weights")
    if str(named).count("/") != 1:
        raise ConfigError(
            f"{named}: no file or folder of weights, and no shipped network; {nearest(str(named), known)}"
        )


def refuse_model_without_weights(name: str) -> None:
    """Raises a ``ConfigError`` if no weights are shipped or installed for a model of this name."""
    if name not in {*pretrained_networks(), *NAMES, *NEED_NO_WEIGHTS}:
        raise ConfigError(f"model={name}: no weights are shipped for it; give weights=")
