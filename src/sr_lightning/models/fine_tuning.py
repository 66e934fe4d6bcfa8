"""How a network goes on from weights: frozen layers, learning rates by layer, and a warm-up."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from torch import nn
from torch.optim import Optimizer

from sr_lightning.errors import ConfigError, nearest


class ParameterGroup(TypedDict):
    """Parameters with a learning rate of their own, relative to the optimizer's."""

    params: list[nn.Parameter]
    lr_scale: NotRequired[float]


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What differs from training all layers at one rate.

    Args:
        freeze: Layers whose weights stay, such as ``head`` or ``body.3``.
        layer_rates: Learning rates of layers, relative to the optimizer's. The longest name that fits counts.
        warmup: Updates over which the learning rate rises from almost nothing.

    Example:
        >>> from sr_lightning.models import ESPCN
        >>> model = ESPCN(scale=2)
        >>> FineTuning(freeze=("body",)).apply(model)
        >>> sum(p.requires_grad for p in model.parameters()), len(list(model.parameters()))
        (2, 6)
    """

    freeze: tuple[str, ...] = ()
    layer_rates: Mapping[str, float] = field(default_factory=dict)
    warmup: int = 0

    def apply(self, model: nn.Module) -> None:
        """Freezes layers of a network, which keeps these settings.

        Raises:
            ConfigError: If it has no such layer, or nothing is left to train.
        """
        names = [name for name, _ in model.named_parameters()]
        for key, wanted in (("freeze", self.freeze), ("layer_rates", self.layer_rates)):
            for layer in wanted:
                if not any(_is_in(name, layer) for name in names):
                    known = dict.fromkeys(_without_net(name).partition(".")[0] for name in names)
                    raise ConfigError(f"{key}={layer}: the network has no such layer; {nearest(layer, known)}")
        for name, parameter in model.named_parameters():
            if any(_is_in(name, layer) for layer in self.freeze):
                parameter.requires_grad_(False)
        if self.freeze and not any(parameter.requires_grad for parameter in model.parameters()):
            raise ConfigError(f"freeze={','.join(self.freeze)}: leaves nothing to train; name fewer layers")
        model.fine_tuning = self  # type: ignore[assignment]
        model.train()  # Lightning keeps the modes that layers have when a run begins

    def frozen_modules(self, model: nn.Module) -> Iterator[nn.Module]:
        """The layers that stay."""
        for name, module in model.named_modules() if self.freeze else ():
            if any(_is_in(name, layer) for layer in self.freeze):
                yield module

    def groups(self, model: nn.Module, groups: list[ParameterGroup]) -> list[ParameterGroup]:
        """The groups of parameters, divided further by the learning rates of layers."""
        if not self.layer_rates:
            return groups
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        result: list[ParameterGroup] = []
        for group in groups:
            by_rate: dict[float, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                by_rate.setdefault(self._rate(names[id(parameter)]), []).append(parameter)
            usual = group.get("lr_scale", 1.0)
            result += [{"params": params, "lr_scale": usual * rate} for rate, params in by_rate.items()]
        return result

    def _rate(self, name: str) -> float:
        fitting = [layer for layer in self.layer_rates if _is_in(name, layer)]
        return self.layer_rates[max(fitting, key=len)] if fitting else 1.0

    def warm_up(self, optimizer: Optimizer, updates_so_far: Callable[[], int]) -> None:
        """Reduces the rates of the first updates, each for its own step alone, so that schedules do not see it.

        Args:
            optimizer: Whose steps are meant.
            updates_so_far: The number of its updates, which a resumed run goes on counting.

        Example:
            >>> import torch
            >>> weight = torch.zeros(1, requires_grad=True)
            >>> optimizer, steps = torch.optim.SGD([weight], lr=1.0), []
            >>> FineTuning(warmup=2).warm_up(optimizer, lambda: len(steps))
            >>> for _ in range(3):
            ...     weight.grad = torch.ones(1)
            ...     optimizer.step()
            ...     steps.append(weight.item())
            >>> steps, optimizer.param_groups[0]["lr"]
            ([-0.5, -1.5, -2.5], 1.0)
        """
        if not self.warmup:
            return
        full: list[Any] = []

        def before(optimizer: Optimizer, *_: Any) -> None:
            full[:] = [group["lr"] for group in optimizer.param_groups]
            factor = min(1.0, (updates_so_far() + 1) / self.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor

        def after(optimizer: Optimizer, *_: Any) -> None:
            for group, rate in zip(optimizer.param_groups, full, strict=True):
                group["lr"] = rate

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(after)


def _without_net(name: str) -> str:
    while name.startswith("net."):
        name = name.removeprefix("net.")
    return name


def _is_in(name: str, layer: str) -> bool:
    """Whether a parameter or a module belongs to a layer, such as ``net.net.body.3.weight`` to ``body.3``."""
    name, layer = _without_net(name), _without_net(layer)
    return name == layer or name.startswith(layer + ".")
