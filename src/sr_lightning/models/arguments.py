"""The arguments of a network are declared once: as annotated attributes of its class."""

from collections.abc import Iterable
from inspect import Parameter, Signature, get_annotations
from typing import Any, ClassVar, TypeVar, Unpack, dataclass_transform

from sr_lightning.errors import nearest
from sr_lightning.types import Recipe

Class = TypeVar("Class", bound=type[Any])


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
        if getattr(kind, "__origin__", None) is not ClassVar
    }
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
        vars(self).update(self._declared)
        self.assemble(**recipe)

    first, last = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD), Parameter("recipe", Parameter.VAR_KEYWORD)
    constructor: Any = construct
    constructor.__signature__ = Signature([first, *arguments.values(), last.replace(annotation=Unpack[Recipe])])
    constructor.__annotations__ = {name: argument.annotation for name, argument in arguments.items()}
    constructor.__name__, constructor.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    cls.__init__ = constructor
    return cls


def check_known(cls: type, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises TypeError for arguments that a network does not have."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(f"{cls.__name__} has no argument {', '.join(unknown)}; {nearest(unknown[0], known)}")
