"""The ways in which a network enlarges a picture, each from scratch to pixels."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf

from sr_lightning.config import build
from sr_lightning.data.files.io import read_photo, read_picture
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import ConfigError
from sr_lightning.functional import to_levels
from sr_lightning.inference.engines.half_precision import in_half_precision
from sr_lightning.inference.engines.spandrel_network import spandrel_network
from sr_lightning.inference.settings import Precision
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.load import load_weights
from sr_lightning.weights.spandrel import spandrel_state

Work = Callable[[], NDArray[np.uint8]]


class Case(NamedTuple):
    """What to enlarge, and in which precision on which device."""

    network: str
    settings: dict[str, Any]
    weights: Path | None
    picture: Path
    precision: Precision
    device: torch.device

    def model(self) -> SuperResolutionModule:
        """The network that the settings describe. Random weights are the same each time.

        Raises:
            ConfigError: If it reads other pictures than ordinary ones.
        """
        torch.manual_seed(0)
        model: SuperResolutionModule = build(OmegaConf.create(self.settings))
        if model.inputs != ("lr",):
            raise ConfigError(f"model={self.network}: reads {', '.join(model.inputs)}; choose a network of pictures")
        if self.weights:
            load_weights(model, self.weights)
        return model.eval()

    def bits(self) -> int:
        """Of the numbers that torch multiplies."""
        return 16 if in_half_precision(self.model().to(self.device).merged(), self.precision, self.device)[1] else 32


def _whole(case: Case, layout: torch.memory_format, spandrel: bool = False) -> Work:
    """The whole picture at once, as one writes it without this library, or by spandrel's network of these weights."""
    model = case.model()
    net, half = in_half_precision(model.to(case.device).merged(), case.precision, case.device)
    if spandrel:
        with warnings.catch_warnings():  # of its code, which nobody here can change
            warnings.simplefilter("ignore")
            net = spandrel_network(spandrel_state(model), case.network).to(case.device)
    net.to(memory_format=layout)  # type: ignore[call-overload]
    pixels = torch.tensor(read_picture(case.picture)).permute(2, 0, 1)[None].contiguous()

    @torch.inference_mode()
    def work() -> NDArray[np.uint8]:
        with torch.autocast(case.device.type, half, enabled=half is not None):
            sr = net(pixels.to(case.device).float().div_(255).contiguous(memory_format=layout))
        levels = to_levels(sr[0].float()).to(torch.uint8)
        return levels.permute(1, 2, 0).contiguous().cpu().numpy()  # type: ignore[no-any-return]

    return work


def _upscaler(case: Case, **options: Any) -> Work:
    """This library's ``Upscaler`` with these options, from pixels to pixels."""
    upscaler = Upscaler(case.model(), precision=case.precision, device=case.device, **options)
    pixels = read_picture(case.picture)
    return lambda: upscaler.upscale(pixels)


def _files(case: Case) -> Work:
    """The same from a PNG file to a PNG file."""
    upscaler = Upscaler(case.model(), precision=case.precision, device=case.device)

    def work() -> NDArray[np.uint8]:
        photo = upscaler.photo(read_photo(case.picture))
        write_photo(case.picture.with_name("sr.png"), photo)
        return photo.pixels

    return work


#: Each prepares the work of a case, which returns pixels ``(H, W, 3)``.
WAYS: dict[str, Callable[[Case], Work]] = {
    "whole": lambda case: _whole(case, torch.contiguous_format),
    "channels_last": lambda case: _whole(case, torch.channels_last),
    "spandrel": lambda case: _whole(case, torch.contiguous_format, spandrel=True),
    "tiles": lambda case: _upscaler(case, tile=256),
    "strips": _upscaler,
    "files": _files,
    "compile": lambda case: _upscaler(case, engine="compile"),
    "openvino": lambda case: _upscaler(case, engine="openvino"),
    "onnxruntime": lambda case: _upscaler(case, engine="onnxruntime"),
}
#: What the others are compared with, always in float32.
REFERENCE = "whole"
#: Ways that torch does not compute: what they multiply is theirs to know.
FOREIGN = ("openvino", "onnxruntime")
