"""The network of another project's file, with the settings that no shape shows chosen on one small photograph."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.sanity import FAR, measured_on_a_photograph
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.describe import in_words
from sr_lightning.weights.identify import OURS, Identified
from sr_lightning.weights.known_files import known_arguments
from sr_lightning.weights.load import identified, scale_in_name
from sr_lightning.weights.reading import WeightsFile


def plausible_network(
    file: WeightsFile, scale: float | None = None, settings: Mapping[str, Any] | None = None, **recipe: Any
) -> tuple[SuperResolutionModule, str]:
    """The network of a file of another project, and a line that says what it is.

    Shapes do not show the value of white inside a network, factors of residuals, or the scale of a network that begins
    with a bicubic enlargement. Where the usual values give a picture far below bicubic interpolation, and others do
    not, the others are taken.

    Args:
        file: What ``read_weights`` read.
        scale: What the user asked for, if anything.
        settings: Arguments that the user knows.
        recipe: Parts that files do not keep.

    Raises:
        CheckpointError: If it is of no network of this library.
        ConfigError: If it is for another scale, or a setting is none of the network.
    """
    settings = dict(settings or {})
    found = identified(file, settings)
    unknown = [name for name in settings if name not in found.arguments]
    if unknown:
        typed = "white" if unknown[0] == "value_range" else unknown[0]
        raise ConfigError(f"foreign.{typed}: {file.path.name} is {found.kind.__name__}, which has none; leave it out")
    known = known_arguments(file)
    hint = known.get("scale") or scale or scale_in_name(file.path)
    if hint and (found.kind.multi_scale or "scale" in found.kind.untraced) and _fits(found, hint):
        found.arguments["scale"] = hint
    if scale not in (None, found.arguments["scale"]):
        raise ConfigError(f"scale={scale}: {file.path} is for scale {found.arguments['scale']}")
    told = {*settings, *known, *(["scale"] if scale else [])}  # the name of a file is a hint alone
    model, chosen = _most_plausible(found, told, recipe)
    words = f"{file.path.name}: {in_words(found.kind, {**found.arguments, **chosen})}"
    names = f" (names of {found.whose})" if found.whose != OURS else ""
    why = f"; {', '.join(f'{k}={v}' for k, v in chosen.items())} by a look at a photograph" if chosen else ""
    return model.eval(), f"{words}{names}{why}"


def _fits(found: Identified, scale: float) -> bool:
    """Whether the weights can be of this scale, too."""
    try:
        found.build(scale=scale)
    except (CheckpointError, ConfigError, ValueError):
        return False
    return True


def _most_plausible(
    found: Identified, told: set[str], recipe: Mapping[str, Any]
) -> tuple[SuperResolutionModule, dict[str, Any]]:
    """The network with the usual settings, or others where those are far off; and the others."""
    model = found.build(**recipe)
    if not (open_ones := {name: v for name, v in found.kind.untraced.items() if name not in told}):
        return model, {}
    first = measured_on_a_photograph(model, found.path)
    if first is None or (first.below <= FAR and first.consistent):
        return model, {}
    best, best_below, choice = model, first.below, dict[str, Any]()
    for other in _others(open_ones, {name: getattr(model, name) for name in open_ones}):
        try:
            candidate = found.build(**other, **recipe)
            measured = measured_on_a_photograph(candidate, found.path)
        except (CheckpointError, ValueError):
            continue
        if measured is not None and measured.below <= FAR and measured.consistent and measured.below < best_below:
            best, best_below, choice = candidate, measured.below, other
    return best, choice


def _others(open_ones: Mapping[str, tuple[Any, ...]], usual: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All combinations of other values."""
    for values in product(*open_ones.values()):
        others = {name: value for name, value in zip(open_ones, values, strict=True) if value != usual[name]}
        if others:
            yield others
