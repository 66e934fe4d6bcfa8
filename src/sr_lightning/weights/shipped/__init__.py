"""Small trained networks that are shipped; ``<name>_x<scale>.md`` beside each says how it was trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_lightning.errors import ConfigError, nearest

if TYPE_CHECKING:
    from sr_lightning.models import SuperResolutionModule

#: The shipped network for clean pictures, and that for noisy ones and strongly compressed JPEGs.
CLEAN, PHOTO = "span", "photo"
#: That for camera RAW files with a Bayer mosaic.
RAW = "rawsr_tiny"
#: What chooses among the three for each file: the default of ``upscale``.
AUTO = "auto"

_FOLDER = Path(__file__).resolve().parent
#: The weights of what tells damaged pictures from clean ones.
CONDITION = _FOLDER / "condition.safetensors"


def pretrained_networks() -> dict[str, list[int]]:
    """The scales of each shipped network.

    Example:
        >>> pretrained_networks()["span"]
        [2, 3, 4]
    """
    found: dict[str, list[int]] = {}
    for path in sorted(_FOLDER.glob("*_x*.safetensors")):
        name, _, scale = path.stem.rpartition("_x")
        found.setdefault(name, []).append(int(scale))
    return found


def weights_file(name: str, scale: int) -> Path:
    """The file of weights of a shipped network, whether it is there or not."""
    return _FOLDER / f"{name}_x{scale}.safetensors"


def shipped_weights(name: str, scale: int) -> Path:
    """The file of weights of the shipped network that ``model`` names.

    Raises:
        ConfigError: If there is none of this name, or not for this scale.
    """
    networks = pretrained_networks()
    if name not in networks:
        raise ConfigError(f"model={name}: no weights are shipped for it; give weights=")
    if scale not in networks[name]:
        known = ", ".join(map(str, networks[name]))
        raise ConfigError(f"model={name}: weights are shipped for scale {known}, but not for {scale}")
    return weights_file(name, scale)


def card_file(name: str, scale: int) -> Path:
    """The file that describes it: data, command, seed, protocol, scores."""
    return weights_file(name, scale).with_suffix(".md")


def load_pretrained(name: str = CLEAN, scale: int = 2) -> "SuperResolutionModule":
    """A shipped network, with its weights.

    Raises:
        ConfigError: If there is none of this name, or not for this scale.

    Example:
        >>> load_pretrained("span", 3).scale
        3
    """
    from sr_lightning.weights.portable import load_safetensors  # late, because torch takes seconds

    networks = pretrained_networks()
    if name not in networks:
        raise ConfigError(f"{name}: no network of this name is shipped; {nearest(name, networks)}")
    if scale not in networks[name]:
        known = ", ".join(map(str, networks[name]))
        raise ConfigError(f"{name} is shipped for scale {known}, but not for {scale}")
    return load_safetensors(weights_file(name, scale))


def write_weights(model: "SuperResolutionModule", name: str, card: dict[str, Any]) -> None:
    """Adds a network to the shipped ones."""
    from sr_lightning.weights.portable import write_safetensors

    write_safetensors(model, weights_file(name, model.scale), card)
