"""The base of degradations, and how several are combined. Drawing and applying parameters are two functions."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from pydantic import Field, InstanceOf, PlainValidator
from torch import Tensor

from sr_lightning.errors import ConfigError
from sr_lightning.functional import modcrop
from sr_lightning.functional.levels import rounded
from sr_lightning.limits import check_settings

#: Everything random about one application: numbers, text, lists and dictionaries, so that JSON can keep it.
Parameters = dict[str, Any]
#: A number, or the bounds it is drawn between.
Range = float | Sequence[float]
Probability = Annotated[float, Field(ge=0, le=1)]


class Grid(NamedTuple):
    """The LR picture that a chain ends with: rows and columns, how many times larger HR is, and its highest level."""

    height: int
    width: int
    scale: int
    levels: int = 255


@dataclass(kw_only=True)
class Degradation:
    """Makes LR pictures from HR pictures, or is one step of a chain that does.

    Subclasses are dataclasses. Their fields are the settings, and the fields' types declare the limits. Subclasses
    override ``apply``. If something is random, they also override ``draw`` and ``random``.

    Args:
        name: The name in tables and result files.

    Example:
        >>> from sr_lightning.degradations import Bicubic, Compose, Noise
        >>> dn = Compose([Bicubic(), Noise(sigma=30)])
        >>> hr = torch.rand(1, 3, 33, 48)
        >>> dn(hr, scale=3, seed=1).shape
        torch.Size([1, 3, 11, 16])
        >>> parameters = dn.draw(np.random.default_rng(1))
        >>> torch.equal(dn(hr, 3, seed=1), dn.degrade(hr, 3, parameters))
        True
    """

    name: str | None = None

    def __post_init__(self) -> None:
        check_settings(self, "degradation ")

    @property
    def random(self) -> bool:
        """Whether parameters are drawn. A degradation that is not random is applied once, to whole pictures."""
        return False

    def draw(self, generator: np.random.Generator) -> Parameters:
        """Draws the random parameters of one application."""
        return {}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        """Applies the step to ``(N, C, H, W)`` in [0, 1], on any device. The result may have another size."""
        raise NotImplementedError

    def degrade(self, hr: Tensor, scale: int, parameters: Parameters, levels: int = 255) -> Tensor:
        """Makes LR pictures with given parameters.

        Args:
            hr: ``(N, C, H, W)`` float in [0, 1], C being 1 or 3; sizes that are no multiple of ``scale`` are cropped.
            scale: Whole factor between HR and LR.
            parameters: From ``draw``.
            levels: The highest level of LR files, 255 or 65535.

        Returns:
            ``(N, C, H // scale, W // scale)``, rounded to these levels.

        Raises:
            ConfigError: If the steps do not end at that size.
        """
        hr = modcrop(hr, scale)
        grid = Grid(hr.shape[-2] // scale, hr.shape[-1] // scale, scale, levels)
        lr = self.apply(hr, parameters, grid)
        if lr.shape[-2:] != grid[:2]:
            raise ConfigError(
                f"degradation {self.name or type(self).__name__} makes {lr.shape[-2]}x{lr.shape[-1]} pixels of "
                f"{hr.shape[-2]}x{hr.shape[-1]} at scale {scale}, not {grid.height}x{grid.width}; "
                "let a step such as Bicubic or Resize(of=lr) be the last that resizes"
            )
        return rounded(lr, levels)

    def __call__(self, hr: Tensor, scale: int, seed: int | Sequence[int] = 0, levels: int = 255) -> Tensor:
        """Calls ``degrade`` with parameters that depend only on the seed."""
        return self.degrade(hr, scale, self.draw(np.random.default_rng(seed)), levels)

    def describe(self) -> dict[str, Any]:
        """Class and settings, for hashes and result files. Dictionaries become lists of pairs: order matters."""
        settings = {f.name: _described(getattr(self, f.name)) for f in fields(self) if f.name != "name"}
        return {"degradation": type(self).__name__, **settings}


def _check_parts(parts: Any) -> Any:
    if not parts:
        raise ValueError("name at least one degradation")
    for part in _parts(parts):
        if not isinstance(part, Degradation):
            raise ValueError(f"{part!r} is not a degradation; give it a _target_")
    return parts


#: Several degradations: a list, or a dictionary with their names.
Parts = Annotated[Sequence[Degradation] | Mapping[str, Degradation], PlainValidator(_check_parts)]


@dataclass
class Compose(Degradation):
    """Applies steps one after another.

    Args:
        steps: A list, or a dictionary. The command line reaches a step of a dictionary by its name; null removes it.
        shuffle: Draw the order anew each time.
    """

    steps: Parts
    shuffle: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.steps, Mapping):
            self.steps = {name: step for name, step in self.steps.items() if step is not None}
        super().__post_init__()
        self._steps = _parts(self.steps)

    @property
    def random(self) -> bool:
        return self.shuffle or any(step.random for step in _parts(self.steps))

    def draw(self, generator: np.random.Generator) -> Parameters:
        count = len(self._steps)
        order = generator.permutation(count).tolist() if self.shuffle else list(range(count))
        return {"order": order, "steps": [step.draw(generator) for step in self._steps]}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        for i in parameters["order"]:
            image = self._steps[i].apply(image, parameters["steps"][i], grid)
        return image


@dataclass
class Choice(Degradation):
    """Applies one of several degradations, drawn each time.

    Args:
        choices: A list, or a dictionary with names.
        probabilities: Of each, in the same form; by default all are equally likely.
    """

    choices: Parts
    probabilities: Sequence[float] | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise ConfigError(
                "degradation choices: name at least one degradation, such as +degradation@degradation.choices.a=jpeg"
            )
        super().__post_init__()
        self._choices = _parts(self.choices)
        if self.probabilities is None:
            return
        if isinstance(self.choices, Mapping) != isinstance(self.probabilities, Mapping):
            raise ConfigError("degradation choices and probabilities must both be lists, or both have names")
        if isinstance(self.probabilities, Mapping) and set(self.probabilities) != set(self.choices):
            raise ConfigError(f"degradation probabilities must name the choices, {', '.join(map(str, self.choices))}")
        check_probabilities("probabilities", self._weights(), len(self.choices))

    def _weights(self) -> list[float]:
        """The probabilities in the order of the choices."""
        if isinstance(self.probabilities, Mapping):
            return [self.probabilities[name] for name in self.choices]  # type: ignore[index]
        return list(self.probabilities or [1 / len(self.choices)] * len(self.choices))

    @property
    def random(self) -> bool:
        return len(self.choices) > 1 or any(part.random for part in _parts(self.choices))

    def draw(self, generator: np.random.Generator) -> Parameters:
        index = pick(self._weights(), generator)
        return {"choice": index, "parameters": self._choices[index].draw(generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return self._choices[parameters["choice"]].apply(image, parameters["parameters"], grid)


@dataclass
class Sometimes(Degradation):
    """Applies a step with some probability.

    Args:
        step: The step.
        probability: The probability that it is applied.
    """

    step: InstanceOf[Degradation]
    probability: Probability = 0.5

    @property
    def random(self) -> bool:
        return self.step.random or 0 < self.probability < 1

    def draw(self, generator: np.random.Generator) -> Parameters:
        taken = bool(generator.random() < self.probability)
        return {"taken": taken, "parameters": self.step.draw(generator) if taken else {}}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return self.step.apply(image, parameters["parameters"], grid) if parameters["taken"] else image


def is_range(value: Range) -> bool:
    """Whether the value is a range, from which numbers are drawn."""
    return isinstance(value, Sequence) and value[0] != value[1]


def uniform(value: Range, generator: np.random.Generator) -> float:
    """Draws a number from a range; a single number is returned as it is."""
    if isinstance(value, Sequence):
        return float(generator.uniform(value[0], value[1]))
    return float(value)


def pick(probabilities: Sequence[float], generator: np.random.Generator) -> int:
    """Draws an index. It is the one that ``generator.choice`` draws, which takes ten times as long.

    Example:
        >>> pick([0.2, 0.8], np.random.default_rng(1))
        1
    """
    return bisect_right(_cumulative(tuple(probabilities)), generator.random())


@lru_cache(maxsize=256)
def _cumulative(probabilities: tuple[float, ...]) -> list[float]:
    sums = np.cumsum(probabilities)
    return [float(share) for share in sums / sums[-1]]


def check_probabilities(key: str, values: Sequence[Any], count: int) -> None:
    """Raises ``ConfigError`` unless these are ``count`` probabilities that sum to one."""
    numbers = [v for v in values if isinstance(v, int | float) and 0 <= v <= 1]
    if len(values) != count or len(numbers) != count or abs(sum(numbers) - 1) > 1e-9:
        raise ConfigError(f"degradation {key}={list(values)}: must be {count} numbers from 0 to 1 that sum to 1")


def seed_of(name: str) -> int:
    """A seed that depends only on a picture's name. It is the same on every machine.

    Example:
        >>> seed_of("butterfly")
        9114867480787631626
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def draw_seed(generator: np.random.Generator) -> int:
    """Draws a seed for ``noise_generator``. As a parameter, it stands for a whole field of noise."""
    return int(generator.integers(2**63))


def noise_generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that pictures on all devices get the same noise."""
    return torch.Generator().manual_seed(seed)


def _parts(parts: Parts) -> list[Degradation]:
    return list(parts.values() if isinstance(parts, Mapping) else parts)


def _described(value: Any) -> Any:
    if isinstance(value, Degradation):
        return value.describe()
    if isinstance(value, Mapping):
        return [[key, _described(part)] for key, part in value.items()]
    if isinstance(value, list | tuple):
        return [_described(part) for part in value]
    return value
