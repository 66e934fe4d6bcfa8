"""Everything that training on one picture can be told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from sr_lightning.atomic import expand_home
from sr_lightning.errors import ConfigError
from sr_lightning.inference.zero_shot.fathers import AffineFathers, Factors, Fathers
from sr_lightning.inference.zero_shot.policy import LineFit, Policy
from sr_lightning.limits import check_settings


@dataclass
class Settings:
    """How a network is trained on one picture, and what is made of it.

    **Paper:** Shocher, Cohen, Irani, "Zero-Shot" Super-Resolution using Deep Internal Learning, CVPR 2018; the defaults
    are those of the authors' code.

    Args:
        factors: One after another; each a number, or two for rows and columns. Of the enlargement that is asked for,
            they are the steps: ``[1.5, 2]`` for a factor of 3 means 2, then 3.
        back_projections: Steps of back-projection for each of the factors, or one number for all.
        base_changes: Those of the factors whose result replaces the input for those that follow.
        init_net_for_each_factor: Whether the network begins anew.
        fathers: Which parts of the picture it learns from.
        policy: Of the learning rate.
        learning_rate: Adam's, at the start of each factor.
        max_iterations: For each factor.
        test_every: Iterations between two reconstructions of the picture from its own reduction.
        test_size: Longest side of what is reconstructed, the middle of larger pictures; null for all of it.
        noise_std: Standard deviation of the noise that reductions get.
        kernel: A ``.npy`` or ``.mat`` file, one for each factor, ``auto`` for ``NAME_0.mat``, ``NAME_1.mat``, ...
            beside the picture, or null for bicubic.
        kernel_key: The variable of a ``.mat`` file.
        output_flip: Whether the result is the median over flips and turns, which forbids kernels without symmetry.
        truth: Whether ``NAME_gt.*`` beside the picture is the truth that progress is measured by.
        history: Folder for a table of every picture's progress, ``NAME.csv``, then ``NAME.1.csv``, ...
        precision: ``float32``, ``bf16``, or ``auto``: bf16 where the hardware has it.
        official: Whether resampling, Adam's epsilon, the time of the tests and the sizes of steps are the authors'.
        seed: The same twice gives the same picture.
    """

    factors: Annotated[Sequence[Any], Field(min_length=1)] = ((2, 2),)
    back_projections: int | Sequence[int] = 10
    base_changes: Sequence[float | Sequence[float]] = ()
    init_net_for_each_factor: bool = False
    fathers: Fathers = field(default_factory=AffineFathers)
    policy: Policy = field(default_factory=LineFit)
    learning_rate: PositiveFloat = 1e-3
    max_iterations: PositiveInt = 3000
    test_every: PositiveInt = 50
    test_size: int | None = 512
    noise_std: NonNegativeFloat = 0.0
    kernel: str | Sequence[str] | None = None
    kernel_key: str = "Kernel"
    output_flip: bool = True
    truth: bool = True
    history: str | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"
    official: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self, "zero_shot.")
        steps = [pair("factors", factor) for factor in self.factors]
        if max(steps[-1]) <= 1:
            raise ConfigError(f"zero_shot.factors={self.factors}: the last must be above 1")
        counts = self.back_projections
        if isinstance(counts, Sequence) and len(counts) != len(steps):
            raise ConfigError(f"zero_shot.back_projections={counts}: must be one number, or {len(steps)} as factors")
        if any(pair("base_changes", factor) not in steps for factor in self.base_changes):
            raise ConfigError(f"zero_shot.base_changes={self.base_changes}: must be among factors={self.factors}")
        kernels = [self.kernel] if isinstance(self.kernel, str) else list(self.kernel or [])
        if len(kernels) > 1 and len(kernels) != len(steps):
            raise ConfigError(f"zero_shot.kernel has {len(kernels)} files: must be one, or {len(steps)} as factors")
        if isinstance(self.policy, LineFit) and self.max_iterations > self.policy.window:
            self.policy.points(self.test_every)

    def steps(self, wanted: float) -> list["Step"]:
        """The factors on the way to an enlargement whose larger factor is ``wanted``."""
        steps = [pair("factors", factor) for factor in self.factors]
        bases = [pair("base_changes", factor) for factor in self.base_changes]
        counts = self.back_projections
        many = list(counts) if isinstance(counts, Sequence) else [counts] * len(steps)
        stretch = (wanted - 1) / (max(steps[-1]) - 1)
        return [
            Step((1 + (f[0] - 1) * stretch, 1 + (f[1] - 1) * stretch), many[i], f in bases) for i, f in enumerate(steps)
        ]

    def kernel_files(self) -> list[Path]:
        """The files that ``kernel`` names."""
        files = [self.kernel] if isinstance(self.kernel, str) else list(self.kernel or [])
        return [expand_home(file) for file in files]


@dataclass(frozen=True)
class Step:
    """One of the factors on the way."""

    factors: Factors
    back_projections: int
    becomes_input: bool


def pair(key: str, factor: Any) -> Factors:
    """A factor as those of rows and columns.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> pair("factors", 2), pair("factors", [1, 1.5])
        ((2.0, 2.0), (1.0, 1.5))
    """
    both = list(factor) if isinstance(factor, Sequence) and not isinstance(factor, str) else [factor, factor]
    if len(both) != 2 or any(isinstance(f, bool) or not isinstance(f, int | float) or not 1 <= f <= 64 for f in both):
        raise ConfigError(f"zero_shot.{key}: {factor} must be a number from 1 to 64, or two for rows and columns")
    return float(both[0]), float(both[1])
