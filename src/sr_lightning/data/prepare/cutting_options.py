"""The options of patch cutting and what they must be, checked before any work begins."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sr_lightning.errors import ConfigError, nearest

#: Names of the ways to resize; see ``resized``.
KINDS = ("bicubic", "bilinear", "nearest", "antialias")
#: Targets of LapSRN, named ``hr_x2`` and so on.
TARGETS = (2, 4, 8)
#: Options that take one value or several.
LISTS = ("upscale_factor", "scales", "upsampling", "rotations", "flips", "targets")
# Counter-clockwise turns as operations of functional.dihedral, which flips before it transposes.
_TURNS = {0: 0, 90: 5, 180: 3, 270: 6}


@dataclass(frozen=True)
class CutOptions:
    """How pictures are cut; every field is a key of ``conf/prepare.yaml``, which explains it.

    Raises:
        ConfigError: If a value cannot work, alone or together with another one.
    """

    input: str
    number: int | None
    output: str | None
    output_hr: str | None
    output_lr: str | None
    use_h5py: bool
    gzip: int | None
    width: int
    height: int
    stride: int
    padding: int
    single_y: bool
    upsampling: tuple[str, ...]
    same_size: bool
    upscale_factor: tuple[int, ...]
    targets: tuple[int, ...]
    scales: tuple[float, ...]
    rotations: tuple[int, ...]
    flips: tuple[int, ...]
    kernel: str | None
    kernel_size: int
    kernel_sigma: float
    seed: int | None

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> "CutOptions":
        """The options among a command's keys; a single value stands for a list of one."""
        values = {item.name: cfg[item.name] for item in fields(cls)}
        for key in LISTS:
            value = values[key]
            single = value is None or isinstance(value, str | int | float)
            values[key] = () if value is None else (value,) if single else tuple(value)
        return cls(**values)

    @property
    def ops(self) -> list[int]:
        """The views of a picture as operations of ``functional.dihedral``, each once.

        A flip (0 none, 1 left-right, 2 top-bottom, 3 both) comes before the turn.
        """
        return sorted({flip ^ _TURNS[turn % 360] for flip in self.flips for turn in self.rotations})

    def __post_init__(self) -> None:
        self._check_types()
        self._check_places()
        if 2 * self.padding >= min(self.width, self.height):
            raise ConfigError(f"padding={self.padding}: nothing is left of {self.width}x{self.height} pixels")
        if self.kernel is not None and self.kernel_size != 1:
            raise ConfigError(
                "kernel and kernel_size: give the file of a kernel or the size of a Gaussian one, not both"
            )
        if self.kernel_size % 2 == 0:
            raise ConfigError(f"kernel_size={self.kernel_size}: must be an odd number, 1 for no blur")
        if not self.same_size:
            self._check_divisible()
        if self.targets:
            self._check_targets()

    def _check_types(self) -> None:
        self._check_lists()
        for key, low in (("width", 1), ("height", 1), ("stride", 1), ("padding", 0), ("kernel_size", 1)):
            _whole(key, getattr(self, key), low)
        for key, low in (("number", 1), ("seed", 0), ("gzip", 1)):
            if getattr(self, key) is not None:
                _whole(key, getattr(self, key), low)
        if self.gzip is not None and self.gzip > 9:
            raise ConfigError(f"gzip={self.gzip}: levels are 1 (fast) to 9 (small), null does not compress")
        for key in ("use_h5py", "single_y", "same_size"):
            if not isinstance(getattr(self, key), bool):
                raise ConfigError(f"{key}={getattr(self, key)}: must be true or false")
        _number("kernel_sigma", self.kernel_sigma)

    def _check_lists(self) -> None:
        for key in LISTS:
            values = getattr(self, key)
            if not values and key != "targets":
                raise ConfigError(f"{key}=[]: needs at least one value")
            if len(set(values)) < len(values):
                raise ConfigError(f"{key}={list(values)}: has a value twice, which would give the same patches twice")
        for factor in self.upscale_factor:
            _whole("upscale_factor", factor, 2)
        for scale in self.scales:
            _number("scales", scale)
        for kind in self.upsampling:
            if kind not in KINDS:
                raise ConfigError(f"upsampling={kind}: there is no such way to resize; {nearest(str(kind), KINDS)}")
        for flip in self.flips:
            _whole("flips", flip, 0)
            if flip > 3:
                raise ConfigError(f"flips={flip}: 0 is none, 1 left-right, 2 top-bottom, 3 both")
        for turn in self.rotations:
            if isinstance(turn, bool) or not isinstance(turn, int) or turn % 360 not in _TURNS:
                raise ConfigError(
                    f"rotations={turn}: only 0, 90, 180 and 270; other angles would resample HR and leave black corners"
                )

    def _check_places(self) -> None:
        if self.use_h5py:
            if self.output is None:
                raise ConfigError("output is missing: output=FILE.h5 says where the patches go")
            if self.output_hr is not None or self.output_lr is not None:
                raise ConfigError("use_h5py=true writes output=FILE.h5 alone; take out output_hr and output_lr")
            # Unlike Path.is_dir, this one is content with any name, however long.
            if Path(self.output).suffix.lower() not in (".h5", ".hdf5") or os.path.isdir(self.output):  # noqa: PTH112
                raise ConfigError(f"output={self.output}: must be a file that ends in .h5 or .hdf5")
            return
        if self.output is not None:
            raise ConfigError(f"output={self.output} needs use_h5py=true; PNG pairs go to output_hr= and output_lr=")
        if self.output_hr is None or self.output_lr is None:
            raise ConfigError(
                "the patches need a place: use_h5py=true output=FILE.h5, or for PNG pairs "
                "output_hr=FOLDER output_lr=FOLDER"
            )
        if self.gzip is not None:
            raise ConfigError(f"gzip={self.gzip} needs use_h5py=true; PNG files are compressed anyway")
        places = {key: Path(getattr(self, key)).resolve() for key in ("input", "output_hr", "output_lr")}
        for one, other in (("input", "output_hr"), ("input", "output_lr"), ("output_hr", "output_lr")):
            if places[one] == places[other]:
                raise ConfigError(f"{other}={getattr(self, other)}: is the folder of {one}; choose another one")

    def _check_divisible(self) -> None:
        for factor in self.upscale_factor:
            for key in ("width", "height", "stride"):
                if getattr(self, key) % factor:
                    raise ConfigError(
                        f"{key}={getattr(self, key)}: must be a multiple of upscale_factor={factor}, "
                        "so that LR windows are whole; or give same_size=true"
                    )

    def _check_targets(self) -> None:
        if not self.use_h5py or self.same_size or self.padding:
            raise ConfigError(f"targets={list(self.targets)}: need use_h5py=true, same_size=false and padding=0")
        for target in self.targets:
            if target not in TARGETS or any(factor % target for factor in self.upscale_factor):
                raise ConfigError(
                    f"targets={target}: may be 2, 4 and 8 where they divide upscale_factor={list(self.upscale_factor)}"
                )


def _whole(key: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{key}={value}: must be a whole number, {low} or more")


def _number(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigError(f"{key}={value}: must be a number above 0")
