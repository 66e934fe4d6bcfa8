"""Optimizers of the package pytorch_optimizer, by name."""

from collections.abc import Iterable, Mapping
from inspect import Parameter, signature
from typing import Any

from torch.optim import Optimizer

from sr_lightning.errors import ConfigError, nearest
from sr_lightning.limits import check_value

#: They need second derivatives, a second pass, the network itself or several processes.
NEED_MORE = {
    "adahessian", "adalomo", "adammini", "alig", "bsam", "demo", "distributedmuon", "lbfgs", "lomo", "ranger21",
    "sophiah", "spectralsphere",
}  # fmt: skip


def named_optimizer(params: Iterable[Mapping[str, Any]], name: str, **settings: Any) -> Optimizer:
    """An optimizer of ``pytorch_optimizer``, such as ``adan``, ``lion``, ``muon``, ``prodigy`` or ``soap``.

    Muon and its relatives change matrices and filters their own way, and biases as Adam does.

    Args:
        params: Groups of parameters.
        name: Its name in lower case.
        settings: Its arguments, such as ``lr`` and ``weight_decay``.

    Raises:
        ConfigError: If the package is missing, has no such optimizer, or that refuses its settings.

    Example:
        >>> import torch
        >>> type(named_optimizer([{"params": [torch.zeros(3, requires_grad=True)]}], "lion", lr=1e-4)).__name__
        'Lion'
    """
    try:
        from pytorch_optimizer import get_supported_optimizers, load_optimizer
    except ImportError:
        raise ConfigError(f'optimizer.name={name} needs a package: pip install "sr_lightning[optimizers]"') from None
    known, groups = get_supported_optimizers(), [dict(group) for group in params]
    if str(name).lower() in NEED_MORE:
        raise ConfigError(f"optimizer.name={name}: needs more than gradients; choose another, such as adan")
    if str(name).lower() not in known:
        hint = nearest(str(name), known)
        some = "adan, lion, muon, prodigy and soap are some of them"
        raise ConfigError(f"optimizer.name={name}: there is no such optimizer; {hint if len(hint) < 200 else some}")
    make: Any = load_optimizer(name)
    named = {key: kind for key, kind in signature(make).parameters.items() if kind.kind != Parameter.VAR_KEYWORD}
    for key, value in settings.items():  # it would take them without a word
        if key not in named:
            raise ConfigError(f"optimizer.{key}: {name} has no such setting; {nearest(key, named)}")
        if type(named[key].default) is float:
            check_value(f"optimizer.{key}", value, float)
    try:
        try:
            return make(groups, **settings)  # type: ignore[no-any-return]
        except ValueError as error:
            if "use_muon" not in str(error):
                raise
            return make(_by_shape(groups), **settings)  # type: ignore[no-any-return]
    except Exception as error:  # the package has classes of its own
        raise ConfigError(f"optimizer.name={name}: {error}") from None


def _by_shape(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each group as two: matrices and filters, which Muon is for, and all else."""
    parted = []
    for group in groups:
        for is_matrix in (True, False):
            fitting = [p for p in group["params"] if (p.ndim > 1) == is_matrix]
            parted += [{**group, "params": fitting, "use_muon": is_matrix}] if fitting else []
    return parted
