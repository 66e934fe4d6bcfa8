"""ATD: attention within windows, to a small dictionary of learnt tokens, and among pixels that are like one token."""

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.transformer import ConvFeedForward, TransformerNet, WindowBody, group_conv, to_channels, to_map
from sr_lightning.blocks.windows import WindowAttention, check_windows, relative_positions
from sr_lightning.errors import ExportError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import DIRECT_TAIL, SHUFFLED_TAIL, Layers, Layout, State, tail_of


class TokenAttention(nn.Module):
    """Pixels attend to the tokens of a dictionary (the paper's ATD-CA).

    Example:
        >>> out, weights = TokenAttention(8, num_tokens=4, narrow=2)(torch.rand(1, 9, 8), torch.rand(1, 4, 8))
        >>> out.shape, weights.shape
        (torch.Size([1, 9, 8]), torch.Size([1, 9, 4]))
    """

    def __init__(self, num_features: int, num_tokens: int, narrow: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(num_features, narrow), nn.Linear(num_features, narrow)
        self.value = nn.Linear(num_features, num_features)
        self.sharpness = nn.Parameter(torch.full((num_tokens,), 0.5))

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What ``(N, pixels, C)`` find in tokens ``(N, M, C)``, and the weights ``(N, pixels, M)`` of it."""
        sharp = 1 + self.sharpness.clamp(0, 1) * math.log(len(self.sharpness))
        keys = F.normalize(self.key(tokens), dim=-1) * sharp[:, None]
        weights = (F.normalize(self.query(x), dim=-1) @ keys.transpose(-2, -1)).softmax(-1)
        return weights @ self.value(tokens), weights


class CategoryAttention(nn.Module):
    """Pixels of the whole picture, sorted by the token that they are like, attend within groups (AC-MSA).

    Example:
        >>> CategoryAttention(8, num_heads=2, group=4)(torch.rand(1, 9, 24), torch.rand(1, 9, 5)).shape
        torch.Size([1, 9, 8])
    """

    def __init__(self, num_features: int, num_heads: int, group: int) -> None:
        super().__init__()
        self.num_heads, self.group = num_heads, group
        self.proj = nn.Linear(num_features, num_features)
        self.log_scale = nn.Parameter(torch.full((1, 1), math.log(10)))

    def forward(self, qkv: Tensor, weights: Tensor) -> Tensor:
        """From queries, keys and values ``(N, pixels, 3 * C)`` and the weights of tokens ``(N, pixels, M)``."""
        batch, pixels = weights.shape[:2]
        # By category, and within one by place: a stable sort, which ONNX does not have.
        order = (weights.argmax(-1) * pixels + torch.arange(pixels, device=qkv.device)).argsort(-1)
        # The last group is filled up with the mirror image of the end.
        group = min(pixels, self.group)
        filled = (pixels + group - 1) // group * group
        place = torch.arange(filled, device=qkv.device)
        ordered = order.index_select(1, place.minimum(2 * pixels - 1 - place))
        q, k, v = (
            picked(qkv, ordered)
            .view(-1, group, 3, self.num_heads, qkv.shape[-1] // 3 // self.num_heads)
            .permute(2, 0, 3, 1, 4)
        )
        scale = self.log_scale.clamp(max=math.log(100)).exp()
        out = F.scaled_dot_product_attention(q * scale, k, v, scale=1.0)
        out = out.transpose(1, 2).reshape(batch, filled, -1)
        return self.proj(picked(out, order.argsort(-1)))  # type: ignore[no-any-return]


def picked(x: Tensor, index: Tensor) -> Tensor:
    """Pixels of ``(N, pixels, C)`` by an index ``(N, count)``.

    Example:
        >>> picked(torch.tensor([[[5.0], [7.0]]]), torch.tensor([[1, 0, 1]])).flatten()
        tensor([7., 5., 7.])
    """
    batch, pixels, channels = x.shape
    flat = index + pixels * torch.arange(batch, device=x.device)[:, None]
    return x.reshape(-1, channels).index_select(0, flat.flatten()).view(batch, -1, channels)


class Refinement(nn.Module):
    """Moves each token towards the pixels that are most like it.

    Example:
        >>> Refinement(4)(torch.rand(1, 4, 8), torch.rand(1, 9, 4), torch.rand(1, 9, 8)).shape
        torch.Size([1, 4, 8])
    """

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(num_tokens, affine=True)
        self.kept = nn.Parameter(torch.zeros(num_tokens, 1))

    def forward(self, tokens: Tensor, weights: Tensor, x: Tensor) -> Tensor:
        """From tokens ``(N, M, C)``, weights ``(N, pixels, M)`` and pixels ``(N, pixels, C)``."""
        of_pixels = self.norm(weights.transpose(-2, -1)).softmax(-1)
        kept = self.kept.sigmoid()
        return kept * tokens + (1 - kept) * (of_pixels @ x)  # type: ignore[no-any-return]


class ATDBlock(nn.Module):
    """The three kinds of attention side by side, then a feed-forward layer and, but for the last, a refinement."""

    def __init__(self, args: "ATD", shift: int, last: bool) -> None:
        super().__init__()
        width = args.num_features
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.windows = WindowAttention(width, args.num_heads, args.window, shift, own_qkv=False)
        self.tokens = TokenAttention(width, args.num_tokens, args.narrow)
        self.categories = CategoryAttention(width, args.num_heads, args.group)
        self.mlp = ConvFeedForward(width, int(width * args.mlp_ratio), args.kernel_size)
        self.refinement = None if last else Refinement(args.num_tokens)

    def forward(self, x: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.norm1(x)
        qkv = self.qkv(normed)
        of_tokens, weights = self.tokens(normed.flatten(1, 2), tokens)
        of_categories = self.categories(qkv.flatten(1, 2), weights)
        x = x + self.windows(qkv, mask) + (of_tokens + of_categories).view(x.shape)
        x = x + self.mlp(self.norm2(x))
        return x, tokens if self.refinement is None else self.refinement(tokens, weights, x.flatten(1, 2))


class ATDGroup(nn.Module):
    """Blocks that hand on their dictionary, a convolution, and a skip around them."""

    def __init__(self, args: "ATD") -> None:
        super().__init__()
        self.dictionary = nn.Parameter(torch.randn(args.num_tokens, args.num_features))
        count = args.num_blocks
        self.blocks = nn.ModuleList(
            ATDBlock(args, (i % 2) * (args.window // 2), last=i == count - 1) for i in range(count)
        )
        self.conv = group_conv(args.num_features)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        deep, tokens = x, self.dictionary.expand(x.shape[0], -1, -1)
        for block in self.blocks:
            deep, tokens = block(deep, tokens, mask)
        return x + to_map(self.conv(to_channels(deep)))


_GROUP = "layers.{i}.residual_group"
_BLOCK, _OURS = f"{_GROUP}.layers.{{j}}", "body.groups.{i}.blocks.{j}"
_NAMES = {
    "conv_first": "head",
    "patch_embed.norm": "first_norm",
    f"{_GROUP}.td": "body.groups.{i}.dictionary",
    f"{_BLOCK}.norm1": f"{_OURS}.norm1",
    f"{_BLOCK}.norm2": f"{_OURS}.norm2",
    f"{_BLOCK}.norm3": f"{_OURS}.refinement.norm",
    f"{_BLOCK}.sigma": f"{_OURS}.refinement.kept",
    f"{_BLOCK}.wqkv": f"{_OURS}.qkv",
    f"{_BLOCK}.attn_win.relative_position_bias_table": f"{_OURS}.windows.bias.table",
    f"{_BLOCK}.attn_win.proj": f"{_OURS}.windows.proj",
    f"{_BLOCK}.attn_atd.wq": f"{_OURS}.tokens.query",
    f"{_BLOCK}.attn_atd.wk": f"{_OURS}.tokens.key",
    f"{_BLOCK}.attn_atd.wv": f"{_OURS}.tokens.value",
    f"{_BLOCK}.attn_atd.scale": f"{_OURS}.tokens.sharpness",
    f"{_BLOCK}.attn_aca.logit_scale": f"{_OURS}.categories.log_scale",
    f"{_BLOCK}.attn_aca.proj": f"{_OURS}.categories.proj",
    f"{_BLOCK}.convffn.fc1": f"{_OURS}.mlp.first",
    f"{_BLOCK}.convffn.dwconv.depthwise_conv.0": f"{_OURS}.mlp.conv.0",
    f"{_BLOCK}.convffn.fc2": f"{_OURS}.mlp.last",
    "layers.{i}.conv": "body.groups.{i}.conv",
    "norm": "last_norm",
    "conv_after_body": "last",
}
_CONSTANTS = ("relative_position_index_SA",)


@network
class ATD(SuperResolutionModule):
    """ATD, the adaptive token dictionary.

    **Paper:** Zhang, Li, Zhou, Zhao, Gu, Transcending the Limit of Local Window: Advanced Super-Resolution Transformer
    with Adaptive Token Dictionary, CVPR 2024. ``model=atd_light`` is the light network. Files of the authors load with
    ``weights=FILE``. The picture is mirrored at the bottom and the right to whole windows, with its last row and column
    twice, as by the authors. Pixels of one category are in the order of the picture, which the authors leave to the
    machine. In half precision some pixels fall into another category.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_groups: Number of groups, each with a dictionary.
        num_blocks: Blocks of each group; every other one has shifted windows.
        num_heads: Heads of the attention.
        window: Side of a window, even.
        group: Pixels of a group of the category attention.
        num_tokens: Tokens of a dictionary.
        narrow: Channels in which pixels and tokens are compared.
        kernel_size: Side of the filters in the feed-forward layers.
        mlp_ratio: Factor by which the feed-forward layers widen the channels.
        upsampler: ``pixel_shuffle``, or ``direct`` as in the light network.

    Example:
        >>> import torch
        >>> net = ATD(scale=2, num_features=12, num_groups=1, num_blocks=2, num_heads=3, window=4, num_tokens=5)
        >>> net(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (
        Layout(whose="ATD", names=_NAMES | DIRECT_TAIL, constants=_CONSTANTS),
        Layout(
            whose="ATD",
            names=_NAMES | SHUFFLED_TAIL,
            constants=_CONSTANTS,
        ),
    )
    after_features = ("shift", "tail")
    untraced: ClassVar = {"group": (256, 128)}
    spandrel: ClassVar = {"scale": (2, 3, 4, 8)}

    scale: int = 4
    num_features: int = 210
    num_groups: int = 6
    num_blocks: int = 6
    num_heads: int = 6
    window: int = 16
    group: int = 256
    num_tokens: int = 128
    narrow: int = 20
    kernel_size: int = 5
    mlp_ratio: float = 2.0
    upsampler: str = "pixel_shuffle"

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        check_windows(self.num_features, self.num_heads, self.window)
        body = WindowBody((ATDGroup(self) for _ in range(self.num_groups)), self.window)
        return TransformerNet(
            body, self.num_features, self.scale, self.upsampler, multiple=self.window, edge_twice=True
        )

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, block = layers.outputs("head"), "body.groups.0.blocks.0"
        table, tail = layers.shape(f"{block}.windows.bias.table"), tail_of(layers)
        return {
            **tail,
            "num_features": width,
            "num_groups": layers.count("body.groups.{i}.dictionary"),
            "num_blocks": layers.count("body.groups.0.blocks.{j}.norm1"),
            "num_heads": table[1],
            "window": (math.isqrt(table[0]) + 1) // 2,
            # The authors have the smaller groups in their light network; spandrel takes it for that by this as well.
            "group": 128 if tail.get("upsampler", "direct") == "direct" and width == 48 else 256,
            "num_tokens": layers.shape("body.groups.0.dictionary")[0],
            "narrow": layers.outputs(f"{block}.tokens.query"),
            "kernel_size": layers.kernel(f"{block}.mlp.conv.0"),
            "mlp_ratio": layers.outputs(f"{block}.mlp.first") / width,
        }

    def for_spandrel(self, state: State) -> State:
        """With the positions by which spandrel recognises it.

        Raises:
            ExportError: If its groups are not of the size that spandrel expects.
        """
        light = self.upsampler == "direct" and self.num_features == 48
        if self.group != (expected := 128 if light else 256):
            raise ExportError(f"spandrel's ATD of these sizes has group={expected} alone, and this has {self.group}")
        return state | {"relative_position_index_SA": relative_positions((self.window, self.window))}
