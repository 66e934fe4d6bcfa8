"""Networks that this library does not have, recognised by names of their layers, so that a message can say so."""

import math
import re
from dataclasses import dataclass

from sr_lightning.models.layouts import State


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A network of another project.

    Args:
        title: What it is called.
        names: Tensors that its files have; all of them. A ``*`` stands for anything.
        width: The tensor whose first axis is the number of features.
        spandrel: Whether the package spandrel runs it.
        task: What it does, if it does not enlarge.
    """

    title: str
    names: tuple[str, ...]
    width: str = "conv_first.weight"
    spandrel: bool = True
    task: str = ""


#: How spandrel is installed: without torchvision, which it asks for. Its other dependencies are this library's, too.
SPANDREL = 'pip install --no-deps "spandrel>=0.4.2,<0.5" einops'

_SWIN = "layers.0.residual_group.blocks.0."

#: More special ones first: SRFormer has all names of SwinIR.
NETWORKS = (
    Elsewhere(title="a HAT of another form", names=(_SWIN + "conv_block.cab.0.weight",)),
    Elsewhere(title="an ATD of another form", names=("layers.0.residual_group.td", "conv_first.weight")),
    Elsewhere(title="a PFT of another form",
              names=("layers.0.residual_group.layers.0.win_mhsa*", "conv_first.weight"), spandrel=False),
    Elsewhere(title="SRFormer", names=(_SWIN + "attn.aligned_relative_position_index",), spandrel=False),
    Elsewhere(title="Swin2SR", names=(_SWIN + "attn.logit_scale", "conv_first.weight")),
    Elsewhere(title="a SwinIR of another form",
              names=(_SWIN + "norm1.weight", _SWIN + "attn.relative_position_bias_table")),
    Elsewhere(title="CRAFT", names=("layers.0.residual_group.hf_blocks.0.attn.temperature",)),
    Elsewhere(title="a DAT of another form", names=("before_RG.1.weight", "layers.0.blocks.0.ffn.sg.norm.weight")),
    Elsewhere(title="RGT", names=("before_RG.1.weight", "layers.0.blocks.0.gamma")),
    Elsewhere(title="DRCT", names=("layers.0.swin1.norm1.weight",)),
    Elsewhere(title="GRL", names=("norm_start.weight", "layers.0.blocks.0.attn.*logit_scale")),
    Elsewhere(title="FDAT", names=("groups.0.blocks.0.attn.bias", "groups.0.blocks.0.inter.cg.1.weight")),
    Elsewhere(title="SAFMN", names=("to_feat.weight", "feats.0.safm.aggr.weight"), width="to_feat.weight"),
    Elsewhere(title="PLKSR with several kernels", names=("feats.0.weight", "feats.1.lk.*_conv.weight"),
              width="feats.0.weight"),
    Elsewhere(title="PLKSR with several kernels", names=("feats.0.weight", "feats.1.lk.convs.0.weight"),
              width="feats.0.weight"),
    Elsewhere(title="MoSR", names=("gblocks.0.weight", "gblocks.1.fc1.weight"), width="gblocks.0.weight"),
    Elsewhere(title="MoESR", names=("in_to_dim.weight", "blocks.0.blocks.0.gamma"), width="in_to_dim.weight"),
    Elsewhere(title="DITN", names=("UFONE.0.ITLs.0.attn.temperature",), width="sft.weight"),
    Elsewhere(title="DCTLSA", names=("B1.body.0.transformer_body.0.blocks.0.attn.qkv.weight",),
              width="fea_conv.weight"),
    Elsewhere(title="SeemoRe", names=("conv_1.weight", "conv_2.weight", "norm.weight", "body.0.local_block.*"),
              width="conv_1.weight"),
    Elsewhere(title="IPT", names=("head.0.0.weight", "body.encoder.layers.0.*"), width="head.0.0.weight"),
    Elsewhere(title="MM-RealSR", names=("conv_first.weight", "am_list.0.fc.0.weight")),
    Elsewhere(title="LIIF on an unknown trunk, or one of two parts to be joined", names=("imnet.layers.0.weight",),
              spandrel=False),
    Elsewhere(title="one of two parts of LIIF to be joined", names=("encoder.body.0.body.0.weight",), spandrel=False),
    Elsewhere(title="Real-CUGAN", names=("unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight"),
              width="unet1.conv1.conv.0.weight"),
    Elsewhere(title="GFPGAN", names=("stylegan_decoder.style_mlp.1.weight",), task="restores faces"),
    Elsewhere(title="CodeFormer", names=("position_emb", "idx_pred_layer.1.weight"), spandrel=False,
              task="restores faces"),
    Elsewhere(title="RestoreFormer", names=("quantize.embedding.weight", "encoder.conv_in.weight"),
              task="restores faces"),
    Elsewhere(title="FBCNN", names=("m_head.weight", "qf_pred.0.res.0.weight"), task="removes JPEG artefacts"),
    Elsewhere(title="DRUNet", names=("m_head.weight", "m_down1.0.res.0.weight"), task="removes noise"),
    Elsewhere(title="SCUNet", names=("m_head.0.weight", "m_tail.0.weight"), task="removes noise"),
    Elsewhere(title="NAFNet", names=("intro.weight", "ending.weight", "middle_blks.0.beta"),
              task="removes noise or blur"),
    Elsewhere(title="Restormer", names=("patch_embed.proj.weight", "encoder_level1.0.attn.temperature"), spandrel=False,
              task="removes noise, blur or rain"),
    Elsewhere(title="Uformer", names=("input_proj.proj.0.weight", "encoderlayer_0.blocks.0.norm1.weight"),
              task="removes noise or blur"),
    Elsewhere(title="StyleGAN2", names=("g_ema.*",), spandrel=False, task="makes pictures of nothing"),
    Elsewhere(title="U-Net discriminator", names=("conv0.weight", "conv8.weight_orig"), spandrel=False,
              task="judges pictures in training"),
    Elsewhere(title="VGG", names=("features.0.weight", "classifier.0.weight"), spandrel=False, task="names objects"),
)  # fmt: skip


def find_elsewhere(state: State) -> Elsewhere | None:
    """The network of another project that a state is of, or None if it is unknown."""
    return next((network for network in NETWORKS if all(_has(state, name) for name in network.names)), None)


def network_elsewhere(state: State, *, advice: bool = True) -> str | None:
    """A sentence about the network that a state is of, or None if it is unknown; ``advice`` says how to run it.

    Example:
        >>> import torch
        >>> names = ["conv_first.weight", "layers.0.residual_group.blocks.0.conv_block.cab.0.weight"]
        >>> network_elsewhere({name: torch.zeros(180, 3, 3, 3) for name in names})  # doctest: +ELLIPSIS
        'this is a HAT of another form, 180 features: not in this library; with spandrel, upscale runs it: ...'
    """
    network = find_elsewhere(state)
    if network is None:
        return None
    width = f", {state[network.width].shape[0]} features" if network.width in state and not network.task else ""
    scale = scale_of(state)
    task = f", which {network.task}" if network.task else ""
    run = f"; with spandrel, upscale runs it: {SPANDREL}" if network.spandrel and advice else ""
    return f"this is {network.title}{task}{f' x{scale}' if scale and not task else ''}{width}: not in this library{run}"


def scale_of(state: State) -> int | None:
    """The scale that the last convolutions before pixel shuffles show, if they do.

    Example:
        >>> import torch
        >>> scale_of({"upsample.0.weight": torch.zeros(256, 64, 3, 3), "upsample.2.weight": torch.zeros(256, 64, 3, 3)})
        4
        >>> scale_of({"upsampler.0.weight": torch.zeros(27, 52, 3, 3)})
        3
    """
    layers = [
        value.shape
        for name, value in state.items()
        if value.ndim == 4 and re.fullmatch(r"(upsample|upsampler|up|to_img|conv_up\d|upconv\d).*weight", name)
    ]
    if not layers:
        return None
    if all(shape[0] % shape[1] == 0 and shape[0] > shape[1] for shape in layers):
        return math.prod(math.isqrt(shape[0] // shape[1]) for shape in layers)
    last = layers[-1][0]
    return math.isqrt(last // 3) if last % 3 == 0 and math.isqrt(last // 3) ** 2 == last // 3 and last > 3 else None


def _has(state: State, name: str) -> bool:
    if "*" not in name:
        return name in state
    expression = re.compile(re.escape(name).replace(r"\*", ".*"))
    return any(expression.fullmatch(other) for other in state)
