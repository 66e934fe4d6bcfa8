"""The arguments of a network are declared once: as annotated attributes of its class."""

from collections.abc import Iterable, Mapping
from inspect import Parameter, Signature, get_annotations, signature
from typing import Any, TypeVar, Unpack, dataclass_transform

from sr_lightning.errors import ConfigError, nearest
from sr_lightning.types import Recipe

Class = TypeVar("Class", bound=type[Any])


#: Arguments besides ``num_...`` that count something.
_COUNTS = {"window", "key_window", "group", "narrow", "compression", "reduction", "hidden_features", "hidden_layers"}


def check_numbers_of(cls: type[Any], arguments: Mapping[str, Any]) -> None:
    """Raises ConfigError for numbers that no network can have, before a layer does so in words of its own."""
    for name, value in arguments.items():
        if (name.startswith("num_") or name in _COUNTS) and isinstance(value, int) and value < 1:
            raise ConfigError(f"{cls.__name__}: {name}={value}: must be 1 or more")
        if name == "mlp_ratio" and isinstance(value, int | float) and not value > 0:
            raise ConfigError(f"{cls.__name__}: {name}={value}: must be above 0")
        if name == "alpha_epochs" and not (isinstance(value, int) and value >= 0):
            raise ConfigError(f"{cls.__name__}: {name}={value}: must be a whole number of 0 or more")
        if name == "drop_path" and not (isinstance(value, int | float) and 0 <= value < 1):
            raise ConfigError(f"{cls.__name__}: {name}={value}: must be a number from 0 to 1, without 1")


@dataclass_transform(kw_only_default=True, eq_default=False)
def network(cls: Class) -> Class:
    """Turns the annotated attributes of a class into keyword-only arguments, as ``dataclass(kw_only=True)`` does.

    The constructor takes these arguments and the parts of a ``Recipe``. It sets the arguments as attributes of the
    object and then calls ``assemble`` with the recipe. A class with a constructor of its own keeps that constructor.

    Example:
        >>> from inspect import signature
        >>> from sr_lightning.models import SPAN
        >>> str(signature(SPAN).parameters["num_blocks"])
        'num_blocks: int = 6'
    """
    own = {
        name: Parameter(name, Parameter.KEYWORD_ONLY, default=vars(cls).get(name, Parameter.empty), annotation=kind)
        for name, kind in get_annotations(cls).items()
        if "ClassVar" not in str(kind)  # also as text, with postponed annotations
    }
    for name, argument in own.items():
        if name in Recipe.__annotations__:
            raise TypeError(
                f"{cls.__name__}.{name}: a part of the recipe has no default in a class; give it in a config"
            )
        if isinstance(argument.default, list | dict | set):
            raise TypeError(f"{cls.__name__}.{name}: all objects would share this default; use a tuple, or None")
    inherited: dict[str, Parameter] = getattr(cls, "_arguments", {})
    arguments = cls._arguments = own | {name: argument for name, argument in inherited.items() if name not in own}
    if "__init__" in vars(cls):
        return cls

    def construct(self: Any, **given: Any) -> None:
        recipe = {name: given.pop(name) for name in Recipe.__annotations__ if name in given}
        check_known(cls, given, arguments)
        self._declared = {name: given.get(name, argument.default) for name, argument in arguments.items()}
        missing = [name for name, value in self._declared.items() if value is Parameter.empty]
        if missing:
            raise TypeError(f"{cls.__name__} needs the argument {', '.join(missing)}")
        check_numbers_of(cls, self._declared)
        for name, value in self._declared.items():
            if arguments[name].annotation is bool and isinstance(value, str):  # any word would be as good as true
                raise ConfigError(f"{cls.__name__}: {name}={value}: must be true or false")
        vars(self).update(self._declared)
        self.assemble(**recipe)

    first, last = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD), Parameter("recipe", Parameter.VAR_KEYWORD)
    constructor: Any = construct
    constructor.made_of = cls  # a constructor of somebody else has no such mark
    constructor.__signature__ = Signature([first, *arguments.values(), last.replace(annotation=Unpack[Recipe])])
    constructor.__annotations__ = {name: argument.annotation for name, argument in arguments.items()}
    constructor.__name__, constructor.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    cls.__init__ = constructor
    return cls


def declared_arguments(module: Any) -> list[dict[str, Any]]:
    """The arguments that checkpoints record; none where Lightning finds them in a constructor that names them.

    Raises:
        TypeError: If the class adds a constructor, whose arguments would not be recorded.
    """
    declared = vars(module).get("_declared")
    constructor = type(module).__init__
    if declared is not None and not hasattr(constructor, "made_of"):
        own = [name for name, p in signature(constructor).parameters.items() if p.kind is not Parameter.VAR_KEYWORD]
        if missing := ", ".join(name for name in own[1:] if name not in declared):
            raise TypeError(
                f"{type(module).__name__}: checkpoints would lack the arguments of its constructor ({missing}); "
                "declare them as annotated attributes of the class, below @network"
            )
    return [] if declared is None else [declared]


def check_known(cls: type, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises TypeError for arguments that a network does not have."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(f"{cls.__name__} has no argument {', '.join(unknown)}; {nearest(unknown[0], known)}")
