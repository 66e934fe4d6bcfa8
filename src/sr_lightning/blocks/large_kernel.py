"""Large kernels for a part of the channels."""

from collections.abc import Callable

from torch import Tensor, nn

from sr_lightning.blocks.attention import PixelAttention
from sr_lightning.blocks.convolution import Partial


def small_weights(*layers: nn.Module) -> None:
    """Draws weights anew, with PLKSR's deviation of 0.02."""
    for layer in layers:
        for parameter in layer.parameters():
            if parameter.ndim == 4:
                nn.init.trunc_normal_(parameter, std=0.02)


class LargeKernelBlock(nn.Module):
    """Two convolutions, one with a large kernel for the first channels, attention and a 1x1 convolution, with a skip.

    **Paper:** Lee, Yun, Ro, Partial Large Kernel CNNs for Efficient Super-Resolution, 2024.

    Args:
        num_features: Channels in and out.
        num_large: Channels that the large kernel reads and makes.
        kernel_size: Side of the large kernel, odd.
        expand_kernel: Side of the first convolution, to twice the channels.
        shrink_kernel: Side of the second one, back.
        activation: Makes the activation between them.
        attention: Whether there is attention.
        norm_before: Normalises the input of the residual.
        norm_after: And its output.

    Example:
        >>> import torch
        >>> LargeKernelBlock(8, 2, 17)(torch.rand(1, 8, 20, 15)).shape
        torch.Size([1, 8, 20, 15])
    """

    def __init__(
        self,
        num_features: int,
        num_large: int,
        kernel_size: int,
        *,
        expand_kernel: int = 3,
        shrink_kernel: int = 3,
        activation: Callable[[], nn.Module] = nn.GELU,
        attention: bool = True,
        norm_before: nn.Module | None = None,
        norm_after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        first = nn.Conv2d(num_features, 2 * num_features, expand_kernel, padding=expand_kernel // 2)
        second = nn.Conv2d(2 * num_features, num_features, shrink_kernel, padding=shrink_kernel // 2)
        large = nn.Conv2d(num_large, num_large, kernel_size, padding=kernel_size // 2)
        self.norm_before = norm_before or nn.Identity()
        self.mixer = nn.Sequential(first, activation(), second)
        self.large = Partial(large, num_large)
        self.attention = PixelAttention(num_features, 3) if attention else nn.Identity()
        self.fuse = nn.Conv2d(num_features, num_features, 1)
        self.norm_after = norm_after or nn.Identity()
        small_weights(second, large, self.attention, self.fuse)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.attention(self.large(self.mixer(self.norm_before(x))))
        return x + self.norm_after(self.fuse(deep))  # type: ignore[no-any-return]
