"""Weights to begin a training with: whatever fits of any file, at any scale and width."""

import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.layouts import State
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.describe import in_words
from sr_lightning.weights.identify import identify, under_names_of
from sr_lightning.weights.known_files import known_arguments
from sr_lightning.weights.load import identified, tell_contradictions
from sr_lightning.weights.reading import WeightsFile, read_weights


def initialise(model: SuperResolutionModule, source: str | Path | WeightsFile, scale: int | None = None) -> None:
    """Takes every weight that fits from a file of the same network, at this or another scale, and says what is new.

    From another scale, the layers that ``SuperResolutionModule.scale_layers`` names stay new even where their
    shapes agree: a deconvolution for x2 is no beginning for x3.

    Args:
        model: The network, with new weights.
        source: A file of any format that ``read_weights`` knows, or what that read.
        scale: What the file was trained for, where neither it nor a shape in it says so.

    Raises:
        CheckpointError: If the file is of another network, or nothing in it fits.
    """
    file = source if isinstance(source, WeightsFile) else read_weights(source)
    theirs, stated = _state_for(model, file)
    scale = scale or stated.get("scale")
    unlike = scale != model.scale and (scale is not None or "scale" in model.untraced)
    new = model.scale_layers if unlike and not model.multi_scale else ()
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith("loss.")}
    taken = {
        name: theirs[name]
        for name, value in ours.items()
        if name in theirs and theirs[name].shape == value.shape and not set(name.split(".")) & {*new}
    }
    if not taken:
        whose = (file.written_by or "an unknown class").rpartition(".")[2]
        written = f"it is of {whose}, which " if file.is_ours else ""
        raise CheckpointError(f"init_from={file.path}: {written}does not fit {type(model).__name__}")
    check_numbers(file.path, taken, ours)
    model.load_state_dict(taken, strict=False)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in ours if name not in taken))
    more = f" and {len(layers) - 8} more" if len(layers) > 8 else ""
    rest = f"; new: {', '.join(layers[:8])}{more}" if layers else ""
    said = f"scale {scale}" if scale else "of an unknown scale"
    rank_zero_only(print)(f"init_from: {len(taken)} of {len(ours)} tensors from {file.path} ({said}){rest}")
    if 2 * len(taken) < len(ours):
        warnings.warn(f"init_from={file.path}: few of its weights fit; model= may have other sizes", stacklevel=2)
    tell_contradictions(model, file, stated, "init_from")


def _state_for(model: SuperResolutionModule, file: WeightsFile) -> tuple[State, dict[str, Any]]:
    """The weights of a file under the names of a network, and the arguments that the file states."""
    if file.is_ours:
        whose = str(file.written_by).rpartition(".")[2]  # by its name: a class of the user's own may have moved
        if whose and whose not in {kind.__name__ for kind in type(model).__mro__}:
            raise CheckpointError(f"init_from={file.path}: it is of {whose}, which is not {type(model).__name__}")
        return file.state, dict(file.arguments or {})
    ours, expected = under_names_of(model, file.state), model.state_dict().keys()
    if ours.keys() <= expected:
        return ours, {}
    found = identify(file, **known_arguments(file))
    if found is None and not ours.keys() & expected:
        found = identified(file)  # which says what it is
    if found is None:
        return ours, {}
    if not isinstance(model, found.kind):
        raise CheckpointError(
            f"init_from={file.path}: it is {in_words(found.kind, found.arguments)}, not {type(model).__name__}"
        )
    unseen = set(found.kind.untraced) - known_arguments(file).keys()
    return found.state, {name: value for name, value in found.arguments.items() if name not in unseen}
