"""The classical guided filter in the place of rawSR's network: colours of the reference, detail of the mosaic."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.functional import imresize
from sr_lightning.functional.demosaic import DEMOSAIC
from sr_lightning.functional.guided_filter import apply_coefficients, guided_coefficients
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule


class GuidedFilterNet(nn.Module):
    """Mosaic and reference to SR, as ``GuidedFilter``."""

    def __init__(self, args: "GuidedFilter") -> None:
        super().__init__()
        if args.demosaic not in DEMOSAIC:
            raise ValueError(f"demosaic={args.demosaic}: must be one of {', '.join(DEMOSAIC)}")
        if args.radius < 1 or args.eps <= 0:
            raise ValueError(f"radius={args.radius} must be at least 1 and eps={args.eps} above 0")
        self.scale, self.radius, self.eps, self.demosaic = args.scale, args.radius, args.eps, args.demosaic

    def forward(self, raw: Tensor, lr: Tensor) -> Tensor:
        # Covariances are differences of nearly equal numbers: half precision has none.
        linear, lr = DEMOSAIC[self.demosaic](raw).float(), lr.float()
        matrix, offset = guided_coefficients(linear, lr, self.radius, self.eps)
        both = torch.cat([matrix.flatten(1, 2), offset], 1)
        enlarged = F.interpolate(both, scale_factor=self.scale, mode="bilinear", align_corners=False)
        matrix, offset = enlarged[:, :9].reshape(-1, 3, 3, *enlarged.shape[-2:]), enlarged[:, 9:]
        return apply_coefficients(matrix, offset, imresize(linear, self.scale))


@network
class GuidedFilter(SuperResolutionModule):
    """rawSR's fusion with a colour matrix and offset from local regression; nothing to train.

    rawSR computes every SR pixel as ``A x + b`` of linear colours ``x``, with ``A`` and ``b`` predicted from the
    camera's picture. Here they are those of the guided filter that explains that picture (``lr``) by the demosaiced
    mosaic (``raw``), enlarged bilinearly, and ``x`` is the demosaiced mosaic, enlarged bicubically.

    **Paper:** He, Sun, Fast Guided Filter, 2015, has the coefficients at low resolution; Xu, Ma, Sun, Yang, Exploiting
    Raw Images for Real-Scene Super-Resolution, IEEE TPAMI 2020, the fusion. Radius and eps are those that rawSR's code
    keeps for it; at that eps most linear detail counts as flat, so that smaller ones are sharper.

    Args:
        scale: Whole factor of enlargement.
        radius: Radius of the windows in LR pixels.
        eps: Regularisation of the regression.
        demosaic: ``"bilinear"``, ``"malvar"`` or ``"menon"``.

    Raises:
        ValueError: If radius, eps or demosaic is not valid.

    Example:
        >>> GuidedFilter(scale=4)(torch.rand(1, 1, 8, 8), torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    inputs = ("raw", "lr")

    scale: int = 2
    radius: int = 4
    eps: float = 1e-2
    demosaic: str = "malvar"

    def build_net(self) -> nn.Module:
        return GuidedFilterNet(self)
