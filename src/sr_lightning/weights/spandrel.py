"""Weights under the names by which spandrel recognises a network; chaiNNer, ComfyUI and InvokeAI open such files."""

from collections.abc import Callable

from torch import Tensor

from sr_lightning.errors import ExportError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.layouts import State


def spandrel_state(model: SuperResolutionModule) -> State:
    """A network's weights as spandrel 0.4 reads them, in float32: what is saved opens as the same network.

    A network that spandrel has says so by its attribute ``spandrel``, the settings that can be there. Its first layout
    with all names gives them; ``for_spandrel``, if it has that, adds what is more than names.

    Raises:
        ExportError: If spandrel does not have the network, or not with its settings.

    Example:
        >>> from sr_lightning.models import RRDB
        >>> list(spandrel_state(RRDB(scale=4, num_features=8, num_blocks=1)))[0]
        'conv_first.weight'
    """
    name, settings = type(model).__name__, getattr(model, "spandrel", None)
    if settings is None:
        raise ExportError(f"spandrel has no {name}; format=onnx writes a file that chaiNNer opens, too")
    for key, possible in settings.items():
        if (value := getattr(model, key)) not in possible:
            known = ", ".join(map(str, possible))
            raise ExportError(f"spandrel's {name} has {key}={known} alone, and this has {value}; format=onnx takes it")
    ours = model.merged().net.state_dict()
    state = next(named for layout in model.layouts if (named := layout.to_theirs(ours)) is not None)
    more: Callable[[State], State] | None = getattr(model, "for_spandrel", None)
    if more is not None:
        state = more(state)
    return {key: _plain(value) for key, value in state.items()}


def _plain(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).contiguous().clone()
