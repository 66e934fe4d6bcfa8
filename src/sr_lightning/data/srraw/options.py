"""What pairs are made of shots: the options, and their limits."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt

from sr_lightning.data.srraw.align import Motion
from sr_lightning.data.srraw.judge import Limits
from sr_lightning.data.srraw.labels import Label
from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_value

#: Black and white of the cameras that the authors used.
LEVELS = {"sony": (512.0, 16383.0), "iphone": (528.0, 4367.0)}


@dataclass(frozen=True)
class Options:
    """The options of making pairs; see ``SRRAW``."""

    scale: int = 4
    label: Label = "diff"
    motion: Motion = "affine"
    rsz: int = 3
    margin: int = 20
    levels: tuple[float, float] | None = None
    views: bool = False
    tolerance: float = 0.25
    limits: Limits = field(default_factory=Limits)

    def checked(self) -> "Options":
        """The same options, if they can be used.

        Raises:
            ConfigError: If one is none of its choices.
        """
        limits = self.limits
        kinds: dict[str, tuple[Any, Any]] = {
            "scale": (self.scale, Literal[4, 8]),
            "data.label": (self.label, Label),
            "data.motion": (self.motion, Motion),
            "data.rsz": (self.rsz, NonNegativeInt),
            "data.margin": (self.margin, NonNegativeInt),
            "data.tolerance": (self.tolerance, NonNegativeFloat),
            "data.max_clipped": (limits.max_clipped, NonNegativeFloat),
            "data.max_residual": (limits.max_residual, NonNegativeFloat),
            "data.min_sharpness": (limits.min_sharpness, NonNegativeFloat),
        }
        for key, (value, kind) in kinds.items():
            check_value(key, value, kind)
        return self


def samples_of(levels: Any) -> tuple[float, float] | None:
    """Black and white of a camera of ``LEVELS``, or as given; None for what the files say.

    Raises:
        ConfigError: If they are neither.
    """
    found = LEVELS.get(levels, levels) if isinstance(levels, str) else levels
    if found is None:
        return None
    if isinstance(found, str) or len(found) != 2 or not found[0] < found[1]:
        raise ConfigError(f"data.levels={levels}: must be sony, iphone, [BLACK,WHITE] or null")
    return float(found[0]), float(found[1])
