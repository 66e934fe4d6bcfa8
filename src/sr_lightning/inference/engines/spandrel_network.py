"""Networks that this library does not have, computed by spandrel's code, where it is installed."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import luma
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.tiles.receptive_field import GLOBAL_HALO, receptive_radius
from sr_lightning.models import SuperResolutionModule
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.elsewhere import SPANDREL
from sr_lightning.weights.reading import read_weights

#: What spandrel imports of torchvision, for two networks alone.
_PLACEHOLDERS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
#: LR pixels around tiles of networks whose reach is not measured, twice those of our own networks of this kind.
_FAR = 2 * GLOBAL_HALO
#: Networks with more parameters are not measured, because it takes minutes.
_LARGE = 2_000_000
#: Nor are those with such layers: they attend to windows or to the whole picture.
_ATTENDING = (nn.Linear, nn.LayerNorm, nn.Softmax, nn.AdaptiveAvgPool2d, nn.MultiheadAttention)


class SpandrelNetwork(SuperResolutionModule):
    """A network of spandrel, for tiles of any size.

    Sides that do not meet its requirements are mirrored at their ends, as spandrel does.

    Args:
        descriptor: What spandrel's ``load_from_state_dict`` gives.
    """

    parts = (*SuperResolutionModule.parts, "descriptor")
    may_fall_back = False  # what it should give is not known

    def __init__(self, descriptor: Any) -> None:
        net = luma(_Filled(descriptor), descriptor.input_channels, descriptor.scale)
        super().__init__(net, scale=descriptor.scale)
        self.architecture: str = descriptor.architecture.name
        self._multiple: int = descriptor.size_requirements.multiple_of
        self._measured: int | None = None

    @property
    def title(self) -> str:
        """The name of the network in messages."""
        return self.architecture

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of this."""
        return self._multiple

    @property
    def halo(self) -> int:  # type: ignore[override]
        """LR pixels that tiles have around them: measured, or many where that cannot be done."""
        if self._measured is None:
            large = sum(p.numel() for p in self.net.parameters()) > _LARGE
            attending = any(isinstance(layer, _ATTENDING) for layer in self.net.modules())
            self._measured = _FAR if large or attending else self._radius()
        return self._measured

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """Whether it may look farther than ``halo``."""
        return self.halo == _FAR

    def _radius(self) -> int:
        try:
            radius = receptive_radius(self.net, (1 if self.luma else 3,), self.scale, self._multiple)
        except Exception:  # spandrel's networks are not made for double precision, nor for narrow strips
            radius = None
        return _FAR if radius is None else radius


class _Filled(nn.Module):
    """Pictures of any size through a network with requirements."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.model, self.scale = descriptor.model, descriptor.scale
        self.call, self.requirements = descriptor._call_fn, descriptor.size_requirements

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        more_columns, more_rows = self.requirements.get_padding(width, height)
        mirrored = min(more_columns, width - 1), min(more_rows, height - 1)
        lr = F.pad(lr, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
        lr = F.pad(lr, (0, more_columns - mirrored[0], 0, more_rows - mirrored[1]), mode="replicate")
        sr = torch.cat([self.call(self.model, one) for one in torch.split(lr, 1)])  # some take one alone
        return sr[..., : height * self.scale, : width * self.scale]


def read_spandrel(path: str | Path) -> SpandrelNetwork:
    """The network in a file of another project, by spandrel; see ``spandrel_network``.

    Raises:
        ConfigError: If spandrel is not installed.
        CheckpointError: If the file cannot be read without running code, or spandrel does not know the network.
    """
    return spandrel_network(read_weights(path).state, path)


def spandrel_network(state: Mapping[str, Tensor], path: str | Path) -> SpandrelNetwork:
    """The network that spandrel recognises by the names of its weights.

    Args:
        state: The weights, without wrappers and prefixes.
        path: Their file, for errors.

    Raises:
        ConfigError: If spandrel is not installed.
        CheckpointError: If spandrel does not know the network, or it does not make one picture of one picture.
    """
    spandrel = import_spandrel()
    check_numbers(path, state, state)
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(dict(state))
    except spandrel.UnsupportedModelError:
        raise CheckpointError(f"{path}: spandrel does not recognise this network; tensors may be missing") from None
    except Exception as error:  # whatever spandrel trips over
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise CheckpointError(f"{path}: spandrel cannot load it ({reason})") from None
    name, purpose, channels = descriptor.architecture.name, descriptor.purpose, descriptor.input_channels
    if purpose not in ("SR", "Restoration"):
        raise CheckpointError(f"{path}: is {name} for {purpose.lower()}; upscale takes networks for whole pictures")
    if channels != descriptor.output_channels or channels not in (1, 3):
        raise CheckpointError(
            f"{path}: is {name} of {channels} channels in and {descriptor.output_channels} out; upscale takes 1 or 3"
        )
    descriptor.model.eval().float()
    return SpandrelNetwork(descriptor)


def has_spandrel() -> bool:
    """Whether it is installed."""
    return find_spec("spandrel") is not None


def import_spandrel() -> Any:
    """The package ``spandrel``, also where torchvision is missing or broken; a working torchvision is left alone.

    Raises:
        ConfigError: If it is not installed, or cannot be imported.
    """
    if "spandrel" in sys.modules:
        return sys.modules["spandrel"]
    if not has_spandrel():
        raise ConfigError(f"networks of other projects need spandrel: {SPANDREL}")
    with _torchvision():
        try:
            return import_module("spandrel")
        except Exception as error:  # a broken package raises anything
            raise ConfigError(f"spandrel is installed, but cannot be imported ({error})") from None


@contextmanager
def _torchvision() -> Iterator[None]:
    """Where torchvision does not work, something of its name, that is gone afterwards.

    A torchvision of another build of torch raises when it is imported, and leaves parts of itself.
    """
    before = _modules_of_torchvision()
    try:
        import_module("torchvision")
    except Exception:  # RuntimeError, where its operators do not fit torch
        _restore(before)
    else:
        yield
        return
    sys.modules.update({name: _Placeholder(name) for name in _PLACEHOLDERS})
    try:
        yield
    finally:
        _restore(before)


def _modules_of_torchvision() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchvision"}


def _restore(before: dict[str, ModuleType]) -> None:
    for name in _modules_of_torchvision():
        del sys.modules[name]
    sys.modules.update(before)


class _Placeholder(ModuleType):
    """Has every name, and says what is missing when one is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder(f"{self.__name__}.{name}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise ConfigError(f"this network needs {self.__name__}: install the torchvision of your build of torch")
