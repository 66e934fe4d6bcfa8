"""Names of layers in files of other projects, as tables beside each network that are read in both directions."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from sr_lightning.blocks.normalization import DIV2K_MEAN
from sr_lightning.errors import CheckpointError

State = dict[str, Tensor]

#: A number in a pattern, such as ``{i}``, ``{i-1}``, ``{2i}`` or ``{2i+1}``.
_NUMBER = re.compile(r"\{(\d*)([a-z])([+-]\d+)?\}")


class Pattern:
    """The names of layers with numbers in them.

    Example:
        >>> theirs, ours = Pattern("B{i}.c{j}_d"), Pattern("blocks.{i-1}.distil.{j-1}")
        >>> theirs.match("B2.c1_d"), ours.fill(theirs.match("B2.c1_d"))
        ({'i': 2, 'j': 1}, 'blocks.1.distil.0')
        >>> Pattern("tail.{2i}").match("tail.3") is None
        True
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._terms = [(int(m[1] or 1), m[2], int(m[3] or 0)) for m in _NUMBER.finditer(text)]
        self.variables = {name for _, name, _ in self._terms}
        parts = [re.escape(part) for part in _NUMBER.sub("\0", text).split("\0")]
        self._expression = re.compile(r"(\d+)".join(parts))

    def match(self, name: str) -> dict[str, int] | None:
        """The numbers of a name, or None if it is another name."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        values: dict[str, int] = {}
        for (factor, variable, plus), number in zip(self._terms, found.groups(), strict=True):
            value, rest = divmod(int(number) - plus, factor)
            if rest or value < 0 or values.setdefault(variable, value) != value:
                return None
        return values

    def fill(self, values: Mapping[str, int]) -> str:
        """The name with these numbers."""

        def number(match: re.Match[str]) -> str:
            return str(int(match[1] or 1) * values[match[2]] + int(match[3] or 0))

        return _NUMBER.sub(number, self.text)

    def after(self, names: Iterable[str], values: Mapping[str, int]) -> str:
        """The name whose one open number is the first above those at the same place in other names.

        Example:
            >>> Pattern("body.{2n}").after(["body.0.conv", "body.4.conv"], {})
            'body.6'
        """
        (variable,) = self.variables - values.keys()
        before = self.fill({**values, variable: 0})[: self._start_of(variable, values)]
        rest = [name.removeprefix(before).partition(".")[0] for name in names if name.startswith(before)]
        taken = max((int(number) for number in rest if number.isdigit()), default=-1)
        factor, _, plus = next(term for term in self._terms if term[1] == variable)
        return self.fill({**values, variable: max(0, (taken - plus) // factor + 1)})

    def _start_of(self, variable: str, values: Mapping[str, int]) -> int:
        """Where a variable's number begins in the filled name."""
        term = next(match for match in _NUMBER.finditer(self.text) if match[2] == variable)
        return len(Pattern(self.text[: term.start()]).fill(values))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a project names and arranges the weights of a network.

    Args:
        whose: The project, in messages.
        names: Its names of layers or parameters, and ours. A number that only one side has, such as ``body.{n}``
            for ``conv_after_body``, is the next one at its place.
        arguments: Arguments of our network that all its files have in common.
        constants: Its layers or tensors that are no weights here, such as a mean colour.
        read_constants: Makes arguments of those tensors; raises CheckpointError where our network has no such.
        prepare: What renaming cannot do, before it: tensors to tensors of other shapes or names; None where they are
            not of this layout.

    Example:
        >>> import torch
        >>> names = {"conv_first": "head", "body.{i}.conv": "body.{i}.0", "last": "body.{n}"}
        >>> layout = Layout(whose="BasicSR", names=names)
        >>> theirs = ["conv_first.weight", "body.0.conv.weight", "last.weight"]
        >>> ours = layout.to_ours({name: torch.zeros(1) for name in theirs})
        >>> [*ours], [*layout.to_theirs(ours)] == theirs
        (['head.weight', 'body.0.0.weight', 'body.1.weight'], True)
    """

    whose: str
    names: Mapping[str, str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    read_constants: Callable[[State], dict[str, Any]] | None = None
    prepare: Callable[[State], State | None] | None = None

    @cached_property
    def _rules(self) -> list[tuple[Pattern, Pattern]]:
        return [(Pattern(theirs), Pattern(ours)) for theirs, ours in self.names.items()]

    @cached_property
    def _constants(self) -> list[Pattern]:
        return [Pattern(text) for text in self.constants]

    def to_ours(self, state: State) -> State | None:
        """The weights under our names, without the prefix of the network; None where a name is not of this layout."""
        weights = {name: value for name, value in state.items() if not self._is_constant(name)}
        try:
            prepared = self.prepare(weights) if self.prepare and weights else weights
        except (KeyError, IndexError, ValueError, RuntimeError):  # of another network
            return None
        return renamed(prepared, self._rules) if prepared else None

    def to_theirs(self, state: State) -> State | None:
        """Our weights under their names; None where one has no name there."""
        return renamed(state, [(ours, theirs) for theirs, ours in self._rules])

    def arguments_in(self, state: State) -> dict[str, Any]:
        """The arguments of our network that the layout, or constants in the file, state."""
        constants = {name: value for name, value in state.items() if self._is_constant(name)}
        found = self.read_constants(constants) if self.read_constants else {}
        return {**self.arguments, **found}

    def _is_constant(self, name: str) -> bool:
        names = (name, name.rpartition(".")[0])
        return any(pattern.match(each) is not None for pattern in self._constants for each in names)


def renamed(state: Mapping[str, Tensor], rules: Iterable[tuple[Pattern, Pattern]]) -> State | None:
    """The state under other names, or None where no rule is for one of them, or two get the same name."""
    rules, names, unnumbered = list(rules), dict[str, str](), dict[str, tuple[Pattern, dict[str, int], str]]()
    for name in state:
        found = _rule_for(name, rules)
        if found is None:
            return None
        target, values, kind = found
        if target.variables <= values.keys():
            names[name] = target.fill(values) + kind
        else:
            unnumbered[name] = found
    numbered: dict[str, str] = {}
    for name, (target, values, kind) in unnumbered.items():  # now that all that have numbers are in their places
        place = target.fill(values | dict.fromkeys(target.variables - values.keys(), 0))
        if place not in numbered:
            numbered[place] = target.after(names.values(), values)
        names[name] = numbered[place] + kind
    result = {names[name]: value for name, value in state.items()}
    return result if len(result) == len(state) else None


def _rule_for(name: str, rules: Iterable[tuple[Pattern, Pattern]]) -> tuple[Pattern, dict[str, int], str] | None:
    """The name to give, the numbers in it, and what follows the layer, such as ``.weight``."""
    layer, dot, kind = name.rpartition(".")
    for source, target in rules:
        if dot and (values := source.match(layer)) is not None:
            return target, values, dot + kind
        if (values := source.match(name)) is not None:
            return target, values, ""
    return None


class Layers:
    """The shapes of a network's weights by our names of its layers, of which arguments are read.

    Example:
        >>> import torch
        >>> shapes = {"head.weight": (8, 3, 3, 3), "body.0.weight": (8, 8, 3, 3), "body.1.weight": (8, 8, 3, 3)}
        >>> layers = Layers({name: torch.zeros(shape) for name, shape in shapes.items()})
        >>> layers.outputs("head"), layers.inputs("head"), layers.count("body.{i}"), "tail" in layers
        (8, 3, 2, False)
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._shapes = {name: tuple(value.shape) for name, value in state.items()}

    def __contains__(self, layer: str) -> bool:
        return any(name == layer or name.startswith(layer + ".") for name in self._shapes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layers) and self._shapes == other._shapes

    def below(self, prefix: str) -> "Layers":
        """The layers whose names begin so, without it."""
        inside = Layers({})
        inside._shapes = {
            name.removeprefix(prefix): shape for name, shape in self._shapes.items() if name.startswith(prefix)
        }
        return inside

    def shape(self, layer: str) -> tuple[int, ...]:
        """Of its weight, also of a normalised one.

        Raises:
            KeyError: If there is no such layer.
        """
        for kind in ("weight", "weight_v"):
            if (name := f"{layer}.{kind}") in self._shapes:
                return self._shapes[name]
        return self._shapes[layer]

    def outputs(self, layer: str) -> int:
        """Channels that a convolution makes."""
        return self.shape(layer)[0]

    def inputs(self, layer: str) -> int:
        """Channels that a convolution reads, of one group."""
        return self.shape(layer)[1]

    def kernel(self, layer: str) -> int:
        """The side of a convolution's filters."""
        return self.shape(layer)[-1]

    def has_bias(self, layer: str) -> bool:
        """Whether the layer has a bias."""
        return f"{layer}.bias" in self._shapes

    def is_normalised(self, layer: str) -> bool:
        """Whether the layer's weight is kept as a length and a direction."""
        return f"{layer}.weight_v" in self._shapes

    def numbers(self, pattern: str) -> list[int]:
        """The numbers that layers of such a name have, without those of other depths."""
        (variable,) = (wanted := Pattern(pattern)).variables
        layers = {name.rpartition(".")[0] for name in self._shapes} | self._shapes.keys()
        return sorted({values[variable] for layer in layers if (values := wanted.match(layer)) is not None})

    def count(self, pattern: str) -> int:
        """How many layers have such a name."""
        return len(self.numbers(pattern))

    def steps(self, pattern: str) -> int:
        """The scale of convolutions before pixel shuffles that keep the channels: the product of their factors."""
        factors = [
            math.isqrt(self.outputs(layer) // self.inputs(layer))
            for layer in (Pattern(pattern).fill({"i": i}) for i in self.numbers(pattern))
        ]
        return math.prod(factors)

    def shuffled(self, layer: str, channels: int = 3) -> int:
        """The scale of one convolution before a pixel shuffle that makes the picture."""
        return math.isqrt(self.outputs(layer) // channels)


#: Names of a ``blocks.transformer.transformer_tail`` in files of SwinIR and the networks after it, by its kind.
DIRECT_TAIL = {"upsample.0": "tail.0"}
SHUFFLED_TAIL = {"conv_before_upsample.0": "tail.0.0", "upsample.{i}": "tail.1.{i}", "conv_last": "tail.2"}


def tail_of(layers: Layers) -> dict[str, Any]:
    """The scale and the kind of a ``blocks.transformer.transformer_tail``; of a trunk without one, a scale of 1."""
    if "tail" not in layers:
        return {"scale": 1}
    if "tail.3" in layers:
        return {"scale": 2 ** layers.count("tail.1.{i}"), "upsampler": "nearest"}
    if "tail.2" in layers:
        return {"scale": layers.steps("tail.1.{i}"), "upsampler": "pixel_shuffle"}
    return {"scale": layers.shuffled("tail.0"), "upsampler": "direct"}


#: The names of a mean colour that is kept as two 1x1 convolutions.
MEAN_SHIFT = ("sub_mean", "add_mean")

#: Names inside SRNet's MixAttn, and ours.
MIX_ATTENTION = {
    "attn1.conv_du.{k}": "0.gate.{k}",
    "attn2.spatial{k}.conv": "1.branches.{k-1}.0",
    "attn2.spatial{k}.bn": "1.branches.{k-1}.1",
}

BLACK = (0.0, 0.0, 0.0)


def mean_colour(constants: State) -> dict[str, Any]:
    """Reads ``value_range`` of a mean colour in a file, and ``mean`` if it is not that of DIV2K.

    The bias that the file has is minus the mean times the value of white.

    Example:
        >>> import torch
        >>> mean_colour({"sub_mean.bias": torch.tensor([-0.4488, -0.4371, -0.4040]) * 255})
        {'value_range': 255.0}
        >>> mean_colour({"sub_mean.bias": torch.tensor([-0.5, -0.5, -0.5])})
        {'value_range': 1.0, 'mean': (0.5, 0.5, 0.5)}
    """
    bias = next((value for name, value in constants.items() if re.match(r"sub_mean\b.*\bbias$", name)), None)
    if bias is None:
        return {}
    colour = [-float(value) for value in bias.flatten()]
    if not any(colour):  # any range fits
        return {"mean": BLACK}
    white = sum(colour) / sum(DIV2K_MEAN)
    if _alike(colour, [white * mean for mean in DIV2K_MEAN]) and white > 0:
        return {"value_range": float(round(white, 3))}
    if not any(colour):
        return {"mean": (0.0, 0.0, 0.0)}  # which says nothing about the range
    white = 255.0 if max(colour) > 1 else 1.0
    return {"value_range": white, "mean": tuple(value / white for value in colour)}


def mean_of_div2k(constants: State) -> dict[str, Any]:
    """``mean_colour`` for a network that has no argument for another mean.

    Raises:
        CheckpointError: If it is another colour than that of DIV2K, which ``MeanShift`` subtracts.

    Example:
        >>> import torch
        >>> mean_of_div2k({"sub_mean.bias": torch.tensor([-0.4488, -0.4371, -0.4040])})
        {'value_range': 1.0}
    """
    found = mean_colour(constants)
    if "mean" in found:
        told = ", ".join(f"{found.get('value_range', 1) * value:.4g}" for value in found["mean"])
        raise CheckpointError(f"its mean colour is {told}, not that of DIV2K, which this network subtracts")
    return found


def contradicted(stated: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The stated arguments that a network has otherwise.

    A mean colour and its range are the same where their products are. A network without a mean does not use a file's.

    Example:
        >>> contradicted({"value_range": 255.0}, {"value_range": 1.0, "scale": 2})
        {'value_range': 255.0}
        >>> contradicted({"value_range": 255.0}, {"value_range": 1.0, "mean": [0, 0, 0]})
        {}
    """
    if "mean" in own and "value_range" in stated:
        ours, theirs = (
            [each["value_range"] * value for value in each.get("mean", DIV2K_MEAN)] for each in (own, stated)
        )
        if not any(ours) or _alike(ours, theirs):
            stated = {name: value for name, value in stated.items() if name not in ("mean", "value_range")}
    return {name: value for name, value in stated.items() if _plain(own.get(name)) != _plain(value)}


def _alike(one: Iterable[float], other: Iterable[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=5e-4) for a, b in zip(one, other, strict=True))


def _plain(value: Any) -> Any:
    return [*value] if isinstance(value, Sequence) and not isinstance(value, str) else value
