"""One file for each paper. Every class is a LightningModule that trains, validates and super-resolves.

``sr_lightning.models.RDN`` is the class ``RDN`` of ``rdn.py``. The file has the name of the class in lower case and
is imported at first use. ``MSLapSRN`` is in the file of ``LapSRN``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.foundation import may_stay_plain, stand_on_lightning

__all__ = ["SuperResolutionModule", "network"]

_GUESTS = {"MSLapSRN": "lapsrn", "PackedBicubic": "bicubic"}


def __getattr__(name: str) -> Any:
    home = f"{__name__}.{_GUESTS.get(name, name.lower())}"
    if name.startswith("_") or find_spec(home) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not may_stay_plain():
        stand_on_lightning()
    return getattr(import_module(home), name)
