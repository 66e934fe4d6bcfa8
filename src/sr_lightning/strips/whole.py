"""Networks tried in strips, and whole pictures in memory by them."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sr_lightning.strips.memory import strip_rows
from sr_lightning.strips.program import Program
from sr_lightning.strips.recording import recorded
from sr_lightning.strips.rules import NoStripsError
from sr_lightning.strips.stream import streamed

#: Pixels of a picture that is always computed at once.
SMALL = 65_536
_TRIAL, _RECORDING = (52, 28), (24, 20)  # height and width of the pictures that a program is tried on and made of

Forward = Callable[..., Tensor]
_accepted: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@torch.inference_mode()
def tried_program(
    forward: Forward,
    channels: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
) -> Program:
    """The program of a network, tried: its strips give what the network gives of a whole picture.

    Args:
        forward: Batches ``(1, C, H, W)`` of pictures to ``(1, C, scale * H, scale * W)``.
        channels: Of each picture.
        device: Where it computes.
        autocast: Half precision to compute in, or None.

    Raises:
        NoStripsError: If the network has a layer that no strip can be computed of, or strips give something else.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, count, *_TRIAL, generator=generator).to(device) for count in channels]
    with torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None):
        whole = forward(*pictures)
        program = recorded(forward, [picture[..., : _RECORDING[0], : _RECORDING[1]] for picture in pictures])
    parts = streamed(program, _TRIAL[0], 8, lambda top, bottom: [x[:, :, top:bottom] for x in pictures])
    strips = torch.cat(list(parts), 2)
    # Sums of other order differ in the last digits, of the types that the network computes in.
    limit = (1e-5 if autocast is None else 5e-2) * max(1.0, float(whole.abs().max()))
    if strips.shape != whole.shape or not float((strips.float() - whole.float()).abs().max()) <= limit:
        raise NoStripsError("layers that depend on the height of the picture")
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
    if height * width <= SMALL or not _accepts(network, forward, picture):
        return forward(picture)
    program = recorded(forward, [picture[..., : _RECORDING[0], : _RECORDING[1]]])
    rows = strip_rows(program, width, 1, float("inf"), on_gpu=picture.is_cuda)
    return torch.cat(list(streamed(program, height, rows, lambda top, bottom: [picture[:, :, top:bottom]])), 2)


def _accepts(network: nn.Module, forward: Forward, picture: Tensor) -> bool:
    if network not in _accepted:
        try:
            tried_program(forward, [picture.shape[1]], device=picture.device)
        except NoStripsError:
            _accepted[network] = False
        else:
            _accepted[network] = True
    return _accepted[network]
