"""The network in a file of this library, of either format."""

from pathlib import Path
from typing import Any

from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.checkpoints import read_checkpoint
from sr_lightning.weights.portable import load_safetensors
from sr_lightning.weights.rebuild import network_of


def load_model(path: Path | str, **recipe: Any) -> SuperResolutionModule:
    """The network of a checkpoint or a ``.safetensors`` file, of the class and with the settings that it names.

    No code in the file is run. ``recipe`` has parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If the file is no checkpoint, or of a class that is not of this library.
    """
    path = Path(path)
    if path.suffix.lower() == ".safetensors":
        return load_safetensors(path, **recipe)
    checkpoint = read_checkpoint(path)
    name = checkpoint.get("sr_lightning", {}).get("model")
    return network_of(name, checkpoint.get("hyper_parameters", {}), checkpoint["state_dict"], path, **recipe)
