"""How far a network looks: what decides how much tiles must overlap."""

import copy

import torch
from torch import Tensor, nn

#: Networks that look farther than this are treated as if they looked everywhere.
LARGEST = 256
#: What a tile of those sees of its surroundings.
GLOBAL_HALO = 32
_STRIP = 16


def receptive_radius(net: nn.Module, channels: tuple[int, ...] = (3,), scale: int = 1, multiple: int = 1) -> int | None:
    """LR pixels around an output pixel that its value depends on; None if it depends on the whole picture.

    Measured, not computed: every weight is made positive, so that nothing cancels, one output block is traced back
    to the input pixels it has a gradient for. Attention over the whole picture gives None, and so do strides whose
    grid moves with the edge of a tile: a strip that is cut must give the values of the whole one.

    Args:
        net: Takes one picture ``(1, C, H, W)`` for each of ``channels``.
        channels: Channels of its inputs.
        scale: Factor of enlargement.
        multiple: Pictures are cut on multiples of this, 2 for mosaics.

    Example:
        >>> receptive_radius(nn.Sequential(nn.Conv2d(3, 8, 9, padding=4), nn.Conv2d(8, 3, 5, padding=2)))
        6
    """
    with torch.inference_mode(False), torch.enable_grad():  # wherever it is asked for
        probe = _positive(net)
        for limit in (24, 72, LARGEST):
            reach = max(_reach(probe, channels, scale, along, limit) for along in (0, 1))
            if reach < limit:
                return reach if _survives_a_cut(net, channels, scale, reach, multiple) else None
    return None


def _survives_a_cut(net: nn.Module, channels: tuple[int, ...], scale: int, radius: int, multiple: int) -> bool:
    whole = copy.deepcopy(net).eval().cpu().double()
    inputs = _noise(channels, (_STRIP, 2 * radius + 2 * _STRIP))
    with torch.inference_mode():
        expected: Tensor = whole(*inputs)
        result: Tensor = whole(*(x[..., multiple:] for x in inputs))
    kept = expected[..., (multiple + radius) * scale :]
    return torch.allclose(result[..., radius * scale :], kept, rtol=0, atol=1e-9 * float(kept.abs().max()))


def _positive(net: nn.Module) -> nn.Module:
    """A copy in double precision whose convolutions let everything through, and nothing cancel."""
    probe = copy.deepcopy(net).eval().cpu().double()
    for parameter in probe.parameters():
        parameter.requires_grad_(False)
        if parameter.ndim > 1:
            parameter.abs_().add_(1e-3).div_(parameter[0].sum())
    return probe


def _reach(probe: nn.Module, channels: tuple[int, ...], scale: int, along: int, limit: int) -> int:
    """Pixels up and down (0) or left and right (1), measured on a strip: far is long, but not wide."""
    middle = limit + 4
    shape = (2 * middle, _STRIP) if along == 0 else (_STRIP, 2 * middle)
    inputs = [x.requires_grad_() for x in _noise(channels, shape)]
    out: Tensor = probe(*inputs)
    # One LR pixel's block, at a place on every grid of strided layers.
    block = out.narrow(along - 2, middle * scale, scale)
    gradients = torch.autograd.grad(block.sum(), inputs, allow_unused=True)
    touched = [(g != 0).any(dim=(1 - along) - 2).any(dim=1).flatten() for g in gradients if g is not None]
    places = torch.cat([places.nonzero().flatten() for places in touched])
    return int((places - middle).abs().max())


def _noise(channels: tuple[int, ...], shape: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [0.25 + 0.5 * torch.rand(1, c, *shape, generator=generator, dtype=torch.float64) for c in channels]
