"""Scores of a network on whole pictures, and the record that says how they came about."""

import copy
import hashlib
import json
import math
import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.degradations import Degradation
from sr_lightning.devices import moved
from sr_lightning.functional.whole_steps import following
from sr_lightning.metrics import mean_scores
from sr_lightning.models import SuperResolutionModule
from sr_lightning.version import __version__

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule

Scores = dict[str, dict[str, Any]]  # set -> {"psnr": mean, ..., "lr": "protocol", "images": {name: {"psnr": ...}}}


@torch.inference_mode()
def score_sets(
    model: SuperResolutionModule,
    data: "LightningDataModule",
    *,
    device: torch.device | str = "cpu",
    on_picture: Callable[[str, str, Tensor], None] | None = None,
) -> Scores:
    """Super-resolves every validation picture and scores it by the model's protocol.

    Beside its scores, each set says what made its LR pictures: the ``"protocol"``, a ``"degradation"``, that they were
    ``"photographed"`` by a ``camera`` of these settings, or that they are ``"files"`` of the set, whose contents
    ``lr_digest`` then tells from others.

    Args:
        model: The network.
        data: Its ``val_dataloader`` gives one loader for each of its ``val_names``.
        device: Where the network runs; scores are computed in float64, on the CPU where the device has none.
        on_picture: Called with set, picture name and SR ``(1, C, H, W)``, to save it for instance.
    """
    was_training, home = model.training, model.device
    model.eval().to(device)
    scores: Scores = {}
    for name, loader in zip(data.val_names, data.val_dataloader(), strict=True):  # type: ignore[attr-defined]
        images: dict[str, dict[str, float]] = {}
        lr_digests: list[bytes] = []
        for batch in loader:
            lr_digests += [hashlib.blake2b(batch["lr"].numpy().tobytes()).digest()] if "lr" in batch else []
            batch = {key: moved(value, device) if isinstance(value, Tensor) else value for key, value in batch.items()}
            sr, values = model.score(batch)  # type: ignore[arg-type]
            images[batch["name"][0]] = {metric: value.item() for metric, value in values.items()}
            if on_picture:  # in colour, also where luma alone is scored
                sr = model.reconstruct(batch, luma=False)[1] if model.luma and "hr" in batch else sr  # type: ignore[arg-type]
                on_picture(name, batch["name"][0], sr)
        scores[name] = {**mean_scores(images), **_lr_source(data, lr_digests), "images": images}
    model.train(was_training).to(home)
    return scores


def _lr_source(data: "LightningDataModule", lr_digests: list[bytes]) -> dict[str, Any]:
    """What made the LR pictures of a set; ``lr_digests`` are the digests of those that came with it."""
    if not lr_digests:
        return {"lr": "protocol"}
    if getattr(data, "degradation", None) is not None:
        return {"lr": "degradation"}
    if (camera := getattr(data, "camera", None)) is not None:
        return {"lr": "photographed", "camera": camera.describe()}
    # Sorted, because an order of pictures says nothing.
    return {"lr": "files", "lr_digest": hashlib.blake2b(b"".join(sorted(lr_digests)), digest_size=8).hexdigest()}


def record(
    model: SuperResolutionModule, name: str, scores: Scores, degradation: Degradation | None = None
) -> dict[str, Any]:
    """What a result file holds: scores never go without their protocol, degradation, scale and versions."""
    return {
        "protocol": model.protocol.name,
        "degradation": degradation and {"name": degradation.name, **degradation.describe()},
        "scale": model.scale,
        "model": name,
        "parameters": count_parameters(model),
        "macs_720p": count_macs(model),
        "protocol_fields": asdict(model.protocol),
        "versions": versions(),
        "sets": scores,
    }


def versions() -> dict[str, str]:
    """Of this library and of what numbers depend on."""
    return {
        "sr_lightning": __version__,
        "torch": str(torch.__version__),
        "lightning": version("lightning"),
        "python": platform.python_version(),
    }


def write_json(path: AnyPath, content: Any) -> None:
    """Writes whole or not at all."""
    path = Path(path)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(content: Any) -> Any:
    """JSON has no infinity, which is the PSNR of a picture without any error: null; nor NaN: the text ``nan``."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if not isinstance(content, float) or math.isfinite(content):
        return content
    return None if content == math.inf else str(content)


def count_parameters(model: SuperResolutionModule) -> int:
    """Trainable scalars of the network; what only training needs, such as a discriminator, does not count."""
    return sum(p.numel() for p in model.net.parameters() if p.requires_grad)


def count_macs(model: SuperResolutionModule, height: int = 720, width: int = 1280) -> int:
    """Multiply-accumulates of convolutions and matrix products for one SR picture of that size.

    A luma network is counted for one channel, as its paper does. Nothing is computed: shapes alone pass through.
    Interpolation has no parameters, and counts nothing. The products of attention count, which some papers leave out.
    """
    if not count_parameters(model):
        return 0
    factor = 2 * model.scale if model.packed else model.scale  # one cell is 2x2 pixels
    size = int(height / factor), int(width / factor)
    net = copy.deepcopy(model.net).to("meta").eval().requires_grad_(False)
    dtype = next(net.parameters(), torch.empty(0)).dtype
    shapes = {"lr": (4 if model.packed else 1 if model.luma else 3, *size), "raw": (1, *size), "white_balance": (3,)}
    free = 0

    def bicubic(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        nonlocal free  # its products have no parameters
        before = counter.get_total_flops()
        result = function(*args, **kwargs)
        free += counter.get_total_flops() - before
        return result

    with FlopCounterMode(display=False) as counter, torch.no_grad(), following(bicubic):
        net(*(torch.empty((1, *shapes[key]), device="meta", dtype=dtype) for key in model.inputs))
    return (int(counter.get_total_flops()) - free) // 2


def markdown(rows: list[dict[str, str]]) -> str:
    """A Markdown table with aligned columns; the first row decides the columns.

    Example:
        >>> print(markdown([{"set": "set5", "psnr": "33.66"}]))
        | set  | psnr  |
        |------|-------|
        | set5 | 33.66 |
    """
    columns = list(rows[0])
    widths = [max(len(c), *(len(row.get(c, "")) for row in rows)) for c in columns]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(columns), rule, *(line([row.get(c, "") for c in columns]) for row in rows)])


def human_number(value: float) -> str:
    """A count with three digits and K, M, G or T.

    Example:
        >>> human_number(694_404), human_number(159.6e9), human_number(999_600), human_number(0)
        ('694 K', '160 G', '1 M', '0')
    """
    rounded = float(f"{value:.3g}")  # first: 999,600 are 1 M
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if rounded >= size:
            return f"{rounded / size:g} {unit}"
    return f"{rounded:.0f}"


def protocol_line(model: SuperResolutionModule, degradation: Degradation | None = None) -> str:
    """What a printed table names below it: protocol, degradation and scale."""
    made = f"degradation {degradation.name or type(degradation).__name__}, " if degradation else ""
    return f"protocol {model.protocol.name}, {made}scale {model.scale}"


def score_rows(name: str, scores: Scores) -> list[dict[str, str]]:
    """Rows of a printed table: one for each set."""
    return [
        {"model": name, "set": set_name, **{k: f"{v:.4f}" for k, v in values.items() if isinstance(v, float)}}
        for set_name, values in scores.items()
    ]
