"""The card by which OpenModelDB lists a network."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import ConfigError
from sr_lightning.models import SuperResolutionModule

#: What OpenModelDB calls networks; others are listed as ONNX files.
_ARCHITECTURES = {"Compact": "compact", "RCAN": "rcan", "RRDB": "esrgan", "SPAN": "span"}
#: Its short words for sizes.
_SIZES = {"num_features": "nf", "num_blocks": "nb", "num_convs": "nc", "num_groups": "ng"}


def check_openmodeldb(author: str, kind: str) -> None:
    """Checks what a card needs, before anything is exported.

    Raises:
        ConfigError: If the author is no name at OpenModelDB, or it does not list files of this format.
    """
    if not isinstance(author, str) or not all(part.isalnum() and part.isascii() for part in author.split("-")):
        raise ConfigError(f"openmodeldb={author}: must be your name there, of letters, digits and hyphens")
    if kind not in ("onnx", "spandrel"):
        raise ConfigError(f"format={kind}: OpenModelDB lists files of format=spandrel and format=onnx; choose one")


def write_openmodeldb_card(model: SuperResolutionModule, file: Path, author: str) -> Path:
    """Writes the card of an exported file beside it; licence, tags, addresses and pictures are for its author to fill.

    Args:
        model: The network.
        file: What ``export`` wrote of it: a file for spandrel, or ONNX.
        author: The name at OpenModelDB, of letters, digits and hyphens.

    Returns:
        The card, ``FILE.json``.
    """
    onnx, name = file.suffix == ".onnx", type(model).__name__
    content = file.read_bytes()
    channels = 1 if model.luma else 3
    card: dict[str, Any] = {
        "name": file.stem,
        "author": author,
        "license": None,
        "tags": [],
        "description": f"{name} x{model.scale}, trained with sr_lightning.",
        "date": datetime.now(UTC).date().isoformat(),
        "architecture": _ARCHITECTURES.get(name, name.lower()),
        "size": [f"{model.hparams[key]}{word}" for key, word in _SIZES.items() if key in model.hparams] or None,
        "scale": model.scale,
        "inputChannels": channels,
        "outputChannels": channels,
        "resources": [
            {
                "platform": "onnx" if onnx else "pytorch",
                "type": "onnx" if onnx else "safetensors",
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "urls": [],
            }
        ],
        "images": [],
    }
    path = file.with_suffix(".json")
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(card, indent=4) + "\n", encoding="utf-8")
    return path
