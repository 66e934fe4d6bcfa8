"""``benchmark metrics``: seconds to score and to resize one picture."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor

from sr_lightning.benchmarking.picture import height_and_width
from sr_lightning.benchmarking.report import Row
from sr_lightning.benchmarking.timing import chosen, clock_of, spread, take_turns, timed
from sr_lightning.functional import imresize, psnr, ssim


def measure(cfg: DictConfig, device: torch.device) -> list[Row]:
    """A row for PSNR, for SSIM and for both, of luma; and for halving a picture, beside torch's own kernel."""
    height, width = height_and_width(cfg.size)
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 1, 1, height, width, device=device)
    picture = torch.rand(1, 3, height, width, device=device)
    ways: dict[str, Callable[[], object]] = {
        "psnr": lambda: psnr(sr, hr),
        "ssim": lambda: ssim(sr, hr),
        "psnr_and_ssim": lambda: (psnr(sr, hr), ssim(sr, hr)),
        "imresize": lambda: imresize(picture, 0.5),
        "padded_interpolate": lambda: padded_interpolate(picture),
    }
    clock = clock_of(device)
    times = take_turns({name: timed(way, clock) for name, way in chosen(ways, cfg.ways).items()}, cfg.repeats)
    return [{"way": name, **spread(seconds)} for name, seconds in times.items()]


def padded_interpolate(x: Tensor) -> Tensor:
    """Half of a picture as ``imresize`` makes it, by torch's kernel: symmetric padding, antialiased bicubic, a cut."""
    x = torch.cat([x[..., :4, :].flip(-2), x, x[..., -4:, :].flip(-2)], -2)
    x = torch.cat([x[..., :4].flip(-1), x, x[..., -4:].flip(-1)], -1)
    return F.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True)[..., 2:-2, 2:-2]
