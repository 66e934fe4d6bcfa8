"""Weights to begin a training with: whatever fits of any file, at any scale and width."""

from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.layouts import State
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.describe import in_words
from sr_lightning.weights.load import identified
from sr_lightning.weights.reading import WeightsFile, read_weights


def initialise(model: SuperResolutionModule, source: str | Path | WeightsFile) -> None:
    """Takes every weight that fits from a file of the same network, at this or another scale, and says what is new.

    From another scale, the layers that ``SuperResolutionModule.scale_layers`` names stay new even where their
    shapes agree: a deconvolution for x2 is no beginning for x3.

    Args:
        model: The network, with new weights.
        source: A file of any format that ``read_weights`` knows, or what that read.

    Raises:
        CheckpointError: If the file is of another network, or nothing in it fits.
    """
    file = source if isinstance(source, WeightsFile) else read_weights(source)
    theirs, scale = _state_for(model, file)
    new = () if scale == model.scale or model.multi_scale else model.scale_layers
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith("loss.")}
    taken = {
        name: theirs[name]
        for name, value in ours.items()
        if name in theirs and theirs[name].shape == value.shape and not set(name.split(".")) & {*new}
    }
    if not taken:
        whose = f"written by {file.written_by or 'an unknown class'}, " if file.is_ours else ""
        raise CheckpointError(
            f"init_from={file.path}: {whose}does not fit {type(model).__name__}; no weight is the same"
        )
    check_numbers(file.path, taken, ours)
    model.load_state_dict(taken, strict=False)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in ours if name not in taken))
    more = f" and {len(layers) - 8} more" if len(layers) > 8 else ""
    rest = f"; new: {', '.join(layers[:8])}{more}" if layers else ""
    rank_zero_only(print)(f"init_from: {len(taken)} of {len(ours)} tensors from {file.path} (scale {scale}){rest}")


def _state_for(model: SuperResolutionModule, file: WeightsFile) -> tuple[State, int]:
    """The weights of a file under the names of a network, and the scale that they were trained for."""
    if file.is_ours:
        return file.state, int((file.arguments or {}).get("scale", model.scale))
    if any(name.startswith("net.") for name in file.state):
        return file.state, model.scale
    found = identified(file)
    if not isinstance(model, found.kind):
        raise CheckpointError(
            f"init_from={file.path}: it is {in_words(found.kind, found.arguments)}, not {type(model).__name__}"
        )
    return found.state, int(found.arguments["scale"])
