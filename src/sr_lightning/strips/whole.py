"""Networks tried in strips, and whole pictures in memory by them."""

from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sr_lightning.devices import is_gpu
from sr_lightning.strips.memory import strip_rows
from sr_lightning.strips.program import NoStripsError, Program
from sr_lightning.strips.recording import recorded
from sr_lightning.strips.stream import streamed

#: Pixels of a picture that is always computed at once.
SMALL = 65_536
#: Height and width of the pictures that a program is made of and tried on: odd ones, and some that a layer may prefer.
_RECORDING, *_TRIALS = (23, 19), (53, 29), (48, 32)
#: Rows below which a picture is not cut: coarse layers of it would have none.
LOWEST = 32

Forward = Callable[..., Tensor]
_accepted: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@torch.inference_mode()
def tried_program(
    forward: Forward,
    channels: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
    multiple: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Program:
    """The program of a network, tried: its strips give what the network gives of a whole picture.

    Args:
        forward: Batches ``(1, C, H, W)`` of pictures to ``(1, C, scale * H, scale * W)``.
        channels: Of each picture.
        device: Where it computes.
        autocast: Half precision to compute in, or None.
        multiple: What sides of the pictures must be divisible by, 4 for mosaics.
        dtype: Of the pictures.

    Raises:
        NoStripsError: If the network has a layer that no strip can be computed of, or strips give something else.
    """
    sizes = [[side // multiple * multiple for side in size] for size in (_RECORDING, *_TRIALS)]
    generator = torch.Generator().manual_seed(0)
    small, *trials = (
        [torch.rand(1, count, *size, generator=generator).to(device, dtype) for count in channels] for size in sizes
    )
    half = torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None)
    # Sums of other order differ in the last digits, of the types that the network computes in.
    exact = autocast is None and dtype in (torch.float32, torch.float64)
    try:
        with half:
            program = recorded(forward, small)
        for pictures in trials:
            with half:
                whole = forward(*pictures)
            part = partial(_rows, pictures)
            strips = torch.cat(list(streamed(program, pictures[0].shape[2], 8, part)), 2)
            limit = (1e-5 if exact else 5e-2) * max(1.0, float(whole.abs().max()))
            if strips.shape != whole.shape or not float((strips.float() - whole.float()).abs().max()) <= limit:
                raise NoStripsError("layers that depend on the size of the picture")
    except (NoStripsError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of networks that take no small pictures, or in other ways than these rules know
        raise NoStripsError(f"layers that fail on a small picture ({error})") from error
    return program


@torch.no_grad()
def in_strips(network: nn.Module, forward: Forward, picture: Tensor) -> Tensor:
    """What ``forward`` gives of a picture, without gradients, in the memory of some of its rows where that is possible.

    Args:
        network: Whose weights ``forward`` computes with: it is tried once, and its weights may change later.
        forward: ``(N, C, H, W)`` to ``(N, C, scale * H, scale * W)``.
        picture: ``(N, C, H, W)``.

    Example:
        >>> conv = nn.Conv2d(3, 3, 3, padding=1).eval()
        >>> picture = torch.rand(1, 3, 300, 300)
        >>> bool((in_strips(conv, conv, picture) - conv(picture)).abs().max() < 1e-6)
        True
    """
    height, width = picture.shape[2:]
    if height * width <= SMALL or height < LOWEST or not _accepts(network, forward, picture):
        return forward(picture)
    program = recorded(forward, [picture[..., : _RECORDING[0], : _RECORDING[1]]])
    rows = strip_rows(program, width, 1, float("inf"), on_gpu=is_gpu(picture.device))
    return torch.cat(list(streamed(program, height, rows, partial(_rows, [picture]))), 2)


def _rows(pictures: Sequence[Tensor], top: int, bottom: int) -> list[Tensor]:
    return [picture[:, :, top:bottom] for picture in pictures]


def _accepts(network: nn.Module, forward: Forward, picture: Tensor) -> bool:
    if network not in _accepted:
        try:
            tried_program(forward, [picture.shape[1]], device=picture.device, dtype=picture.dtype)
        except NoStripsError:
            _accepted[network] = False
        else:
            _accepted[network] = True
    return _accepted[network]
