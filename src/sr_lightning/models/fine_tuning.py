"""How a network goes on from weights: frozen layers, learning rates by layer, and a warm-up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

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

    def warmed_up(self, scheduler: Any) -> Any:
        """A scheduler with the warm-up before it.

        Raises:
            ConfigError: If the scheduler waits for a plateau.
        """
        if not self.warmup:
            return scheduler
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ConfigError("warmup: a schedule that waits for a plateau has none; choose another scheduler=")
        return WarmUp(scheduler, self.warmup)


class WarmUp:
    """A learning-rate scheduler whose rates are reduced in the first updates.

    Args:
        scheduler: The schedule without a warm-up.
        updates: How many updates the warm-up takes; the rate rises in equal steps.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> warm = WarmUp(torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5), updates=2)
        >>> [(warm.get_last_lr()[0], optimizer.step(), warm.step())[0] for _ in range(5)]
        [0.5, 1.0, 1.0, 1.0, 0.5]
    """

    def __init__(self, scheduler: Any, updates: int) -> None:
        self.scheduler, self.updates, self.optimizer = scheduler, updates, scheduler.optimizer
        self._rates: list[float] = []
        self._reduce()

    def step(self) -> None:
        """Goes on by one update."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
        self.scheduler.step()
        self._reduce()

    def _reduce(self) -> None:
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        factor = min(1.0, (self.scheduler.last_epoch + 1) / self.updates)
        for group in self.optimizer.param_groups:
            group["lr"] *= factor

    def get_last_lr(self) -> list[float]:
        """The rates that the next update has."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs."""
        return {"scheduler": self.scheduler.state_dict(), "rates": list(self._rates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores it. The optimizer restores its own reduced rates."""
        self.scheduler.load_state_dict(state["scheduler"])
        self._rates = list(state["rates"])


def _without_net(name: str) -> str:
    while name.startswith("net."):
        name = name.removeprefix("net.")
    return name


def _is_in(name: str, layer: str) -> bool:
    """Whether a parameter or a module belongs to a layer, such as ``net.net.body.3.weight`` to ``body.3``."""
    name = _without_net(name)
    return name == layer or name.startswith(layer + ".")
