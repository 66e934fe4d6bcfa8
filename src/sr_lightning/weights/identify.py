"""Which network a file of weights is of: told by the names and shapes in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import sr_lightning.models as models
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.layouts import Layers, State
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.reading import WeightsFile
from sr_lightning.weights.rebuild import without_values

#: Of a file without names of another project.
OURS = "sr_lightning"


@dataclass(frozen=True, kw_only=True, eq=False)
class Identified:
    """A network of this library that a file has the weights of.

    Args:
        path: The file.
        kind: Its class.
        arguments: Those of its constructor that the file shows.
        state: The weights, under the names of the network's ``state_dict``.
        whose: By whose names the file calls them.
    """

    path: Path
    kind: type[SuperResolutionModule]
    arguments: dict[str, Any]
    state: State
    whose: str

    def build(self, **more: Any) -> SuperResolutionModule:
        """The network with these weights; ``more`` replaces arguments, or gives parts of a recipe.

        Raises:
            CheckpointError: If the weights do not fit with these arguments.
        """
        kind: Any = self.kind
        model: SuperResolutionModule = kind(**{**self.arguments, **more})
        if not _fits(self.state, model):
            raise CheckpointError(f"{self.path}: the weights do not fit {kind.__name__} with {more}")
        check_numbers(self.path, self.state, model.state_dict())
        model.load_state_dict(self.state, strict=False)  # strictly: a loss has no weights in files
        return model


@cache
def network_classes() -> tuple[type[SuperResolutionModule], ...]:
    """The classes of all networks, each file's in the order of the file.

    Example:
        >>> {"EDSR", "RCAN", "RRDB"} <= {kind.__name__ for kind in network_classes()}
        True
    """
    found: list[type[SuperResolutionModule]] = []
    for module in iter_modules(models.__path__):
        content = vars(import_module(f"{models.__name__}.{module.name}"))
        found += [
            thing
            for thing in content.values()
            if isinstance(thing, type)
            and issubclass(thing, SuperResolutionModule)
            and thing.__module__ == f"{models.__name__}.{module.name}"
            and thing.arguments_of.__func__ is not SuperResolutionModule.arguments_of.__func__  # type: ignore[attr-defined]
        ]
    return tuple(found)


def identify(file: WeightsFile, **settings: Any) -> Identified | None:
    """The network whose weights a file of another project holds, or None if this library does not have it.

    Args:
        file: What ``read_weights`` read.
        settings: Arguments that the file does not show, such as ``value_range``.

    Raises:
        CheckpointError: If it is a network of this library, but with constants that the network does not have.
    """
    refused: CheckpointError | None = None
    for kind in network_classes():
        try:
            for whose, state, stated in _translations(kind, file.state):
                found = _fitting(file.path, kind, whose, state, stated, settings)
                if found is not None:
                    return found
        except CheckpointError as error:
            refused = refused or error
    if refused is not None:
        raise CheckpointError(f"{file.path}: {refused}")
    return None


def _translations(kind: type[SuperResolutionModule], state: State) -> Iterator[tuple[str, State, Mapping[str, Any]]]:
    """The state under our names by each layout that knows all of its names, and the arguments that this states."""
    plain = {name.removeprefix("net."): value for name, value in state.items()}
    yield OURS, plain, {}
    for layout in kind.layouts:
        translated = layout.to_ours(state)
        if translated is not None:
            yield layout.whose, translated, layout.arguments_in(state)


def _fitting(
    path: Path, kind: Any, whose: str, state: State, stated: Mapping[str, Any], settings: Mapping[str, Any]
) -> Identified | None:
    try:
        taken = {name: value for name, value in settings.items() if name in signature(kind).parameters}
        arguments = {**kind.arguments_of(Layers(state)), **stated, **taken}
        with without_values():
            blank: SuperResolutionModule = kind(**arguments)
    except (ConfigError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError):  # of another network
        return None
    named = under_names_of(blank, state)
    if not _fits(named, blank):
        return None
    return Identified(path=path, kind=kind, arguments=arguments, state=named, whose=whose)


def _fits(state: State, model: SuperResolutionModule) -> bool:
    """Whether names and shapes are those of the network."""
    expected = {name: value for name, value in model.state_dict().items() if name.startswith("net.")}
    return state.keys() == expected.keys() and all(state[name].shape == expected[name].shape for name in expected)


def under_names_of(model: SuperResolutionModule, state: State) -> State:
    """The state with the prefix of a network, and with normalised weights by the names that the network has."""
    prefix, expected = "net.net." if model.luma else "net.", model.state_dict().keys()

    def renamed(name: str) -> str:
        name = name if name.startswith("net.") else prefix + name
        layer, _, part = name.rpartition(".weight_")
        now = f"{layer}.parametrizations.weight.original{'gv'.find(part)}"
        return now if layer and now in expected else name

    return {renamed(name): value for name, value in state.items()}
