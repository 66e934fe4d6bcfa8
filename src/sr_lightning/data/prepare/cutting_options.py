"""The options of patch cutting. They are checked before any work begins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_settings

#: Names of the ways to resize; see ``resized``.
Kind = Literal["bicubic", "bilinear", "nearest", "antialias"]
#: Targets of LapSRN, named ``hr_x2`` and so on.
TARGETS = (2, 4, 8)
#: Options that take one value or several.
LISTS = ("upscale_factor", "scales", "upsampling", "rotations", "flips", "targets")
# Counter-clockwise turns as operations of functional.dihedral, which flips before it transposes.
_TURNS = {0: 0, 90: 5, 180: 3, 270: 6}


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("has a value twice, which would give the same patches twice")
    return values


def _right_angle(degrees: int) -> int:
    if degrees % 360 not in _TURNS:
        raise ValueError("must be 0, 90, 180 or 270; other angles would resample HR and leave black corners")
    return degrees


T = TypeVar("T")
Several = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_distinct)]


@dataclass(frozen=True)
class CutOptions:
    """How pictures are cut. Every field is a key of ``conf/prepare.yaml``, which explains it.

    Raises:
        ConfigError: If a value cannot work, alone or together with another one.
    """

    input: str
    number: PositiveInt | None
    output: str | None
    output_hr: str | None
    output_lr: str | None
    use_h5py: bool
    gzip: Annotated[int, Field(ge=1, le=9, description="1 is fast, 9 is small")] | None
    width: PositiveInt
    height: PositiveInt
    stride: PositiveInt
    padding: NonNegativeInt
    single_y: bool
    upsampling: Several[Kind]
    same_size: bool
    upscale_factor: Several[Annotated[int, Field(ge=2)]]
    targets: Annotated[tuple[int, ...], AfterValidator(_distinct)]
    scales: Several[PositiveFloat]
    rotations: Several[Annotated[int, AfterValidator(_right_angle)]]
    flips: Several[Annotated[int, Field(ge=0, le=3, description="0 is none, 1 left-right, 2 top-bottom, 3 both")]]
    kernel: str | None
    kernel_size: PositiveInt
    kernel_sigma: PositiveFloat
    seed: NonNegativeInt | None

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> "CutOptions":
        """Takes the options from a command's keys. A single value becomes a list of one."""
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
        check_settings(self)
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

    def _check_places(self) -> None:
        if self.use_h5py:
            if self.output is None:
                raise ConfigError("output is missing: output=FILE.h5 says where the patches go")
            if self.output_hr is not None or self.output_lr is not None:
                raise ConfigError("use_h5py=true writes output=FILE.h5 only; remove output_hr and output_lr")
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
