"""What networks stand on: ``LightningModule`` or, in a process that only enlarges, a plain module.

Importing Lightning takes longer than importing torch, and enlarging a picture needs nothing of it. So
``sr_lightning.load`` and the commands that only enlarge make their networks inside ``without_lightning``. The first
network that is made or named elsewhere puts ``LightningModule`` below all of them, those that exist included. A process
that has imported Lightning already does so at once.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch
from torch import nn

_WITHOUT = ContextVar("without_lightning", default=False)


@contextmanager
def without_lightning() -> Iterator[None]:
    """Networks that are made inside do not need Lightning, which is not imported for them.

    Example:
        >>> with without_lightning():
        ...     from sr_lightning.models import ESPCN
        ...     model = ESPCN(scale=2)
        >>> model(torch.zeros(1, 1, 4, 4)).shape
        torch.Size([1, 1, 8, 8])
    """
    before = _WITHOUT.set(True)
    try:
        yield
    finally:
        _WITHOUT.reset(before)


def may_stay_plain() -> bool:
    """Whether networks are made ``without_lightning``, in a process that has not imported it."""
    return _WITHOUT.get() and "lightning.pytorch" not in sys.modules


class Arguments(dict[str, Any]):
    """A dictionary whose entries are attributes, too, as those of Lightning's ``hparams`` are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class PlainModule(nn.Module):
    """What ``LightningModule`` gives a network that does not train."""

    def __init__(self) -> None:
        super().__init__()
        _plain.add(self)

    def save_hyperparameters(self, arguments: Mapping[str, Any], ignore: Sequence[str] = ()) -> None:
        """Keeps the arguments that the network was made with."""
        self._hparams = Arguments({name: value for name, value in arguments.items() if name not in ignore})

    @property
    def hparams(self) -> Arguments:
        """The arguments that the network was made with."""
        return self._hparams

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return _device(self)


if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    Foundation = LightningModule
else:

    class Foundation(PlainModule):
        """The base of every network, whose own base ``stand_on_lightning`` replaces."""

        def __setstate__(self, state: dict[str, Any]) -> None:
            super().__setstate__(state)
            if isinstance(self, PlainModule):
                _plain.add(self)
            elif "_trainer" not in state:  # a copy of a plain network
                _complete(self)


_plain: WeakSet[nn.Module] = WeakSet()  # the networks that lack what Lightning's constructor sets


def stand_on_lightning() -> None:
    """Puts ``LightningModule`` below every network."""
    if not issubclass(Foundation, PlainModule):
        return
    from lightning.pytorch import LightningModule

    Foundation.__bases__ = (LightningModule,)
    while _plain:
        _complete(_plain.pop())


def _complete(network: Any) -> None:
    """Gives a network that was made on ``PlainModule`` what the constructor of ``LightningModule`` sets."""
    from lightning.pytorch import LightningModule

    arguments = vars(network).pop("_hparams", {})
    vars(network).update(vars(LightningModule()) | vars(network))
    network.save_hyperparameters(arguments)
    network.to(_device(network))


def _device(network: nn.Module) -> torch.device:
    return next((weight.device for weight in network.parameters()), torch.device("cpu"))
