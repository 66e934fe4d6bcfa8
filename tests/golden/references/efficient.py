"""RLFN, BSRN, SMFANet, PLKSR and SPAN's successors."""

from importlib import import_module
from unittest import mock

import torch

from golden.references.sources import Layout

RLFN = {"repository": "bytedance/RLFN", "whose": "the authors of RLFN", "value_range": 255, "network": "RLFN"}
BASICSR = ("basicsr", "basicsr.archs", "basicsr.utils")
BSRN = {"num_features": 32, "num_blocks": 8, "num_copies": 4, "reduction": 16}
PLKSR = {"num_features": 8, "num_blocks": 2, "kernel_size": 5, "num_large": 2}
# Factors that keep features at about 1 from block to block: without them the result says little of the deep ones.
THREE, EIGHT = range(1, 4), range(1, 9)
RLFN_FACTORS = {
    "conv_1.weight": 1 / 255,
    "upsampler.0.weight": 255.0,
    **{f"block_{i}.c{j}_r.weight": 1.6 for i in range(1, 5) for j in THREE},
    **{f"block_{i}.c5.weight": 2.0 for i in range(1, 5)},
}
SIX_BLOCKS = RLFN_FACTORS | {
    **{f"block_{i}.c{j}_r.weight": 1.6 for i in (5, 6) for j in THREE},
    **{f"block_{i}.c5.weight": 2.0 for i in (5, 6)},
}
BLUEPRINTS = ("c1_r", "c2_r", "c3_r", "c4", "esa.conv2", "esa.conv_max", "esa.conv3", "esa.conv3_")
BSRN_FACTORS = {
    **{f"{name}.{part}.weight": 1.4 for name in ("fea_conv", "c2") for part in ("pw", "dw")},
    **{f"B{i}.{name}.{part}.weight": 1.4 for i in EIGHT for name in BLUEPRINTS for part in ("pw", "dw")},
    **{f"B{i}.c{j}_d.weight": 2.0 for i in EIGHT for j in THREE},
    **{f"B{i}.c5.weight": 3.0 for i in EIGHT},
    **{f"B{i}.esa.{name}.weight": 2.0 for i in EIGHT for name in ("conv1", "conv_f", "conv4")},
    **{f"B{i}.cca.conv_du.{k}.weight": 4.0 for i in EIGHT for k in (0, 2)},
}
SPANV2_FACTORS = {
    **{f"block_{i}.c{j}.conv.weight": 2.0 for i in range(1, 6) for j in THREE},
    **{f"block_{i}.guidance_map_conv.weight": 4.0 for i in range(2, 6)},
}
SPANF_FACTORS = {f"block_{i}.c{j}_r.eval_conv.weight": 3.0 for i in range(1, 6) for j in THREE}
SMFANET_FACTORS = {f"feats.{i}.smfa.belt": 10.0 for i in (0, 1)}


def bsrn(module, scale):
    """With the upsamplers of its package, which is not run."""
    module.Upsamplers = import_module("basicsr.archs.Upsamplers")
    return module.BSRN(num_feat=32, num_block=8, upscale=scale)


def spanf(module):
    """Its constructor computes a picture on a GPU."""
    with (
        mock.patch.object(torch.Tensor, "cuda", lambda x: x),
        mock.patch.object(module.SPANF, "cuda", lambda net: net),
    ):
        return module.SPANF(3, 3, feature_channels=8, upscale=4)


LAYOUTS = [
    *(
        Layout(
            name=f"rlfn_x{scale}",
            **RLFN,
            file="model/rlfn.py",
            make=lambda m, scale=scale: m.RLFN(feature_channels=8, upscale=scale),
            factors=SIX_BLOCKS,
            arguments={"scale": scale, "num_features": 8, "num_blocks": 6, "value_range": 255.0},
            size=(19, 17),
        )
        for scale in (2, 4)
    ),
    Layout(
        name="rlfn_ntire_x4",
        **RLFN,
        file="model/rlfn_ntire.py",
        make=lambda m: m.RLFN_Prune(feature_channels=6, mid_channels=8),
        factors=RLFN_FACTORS,
        arguments={"scale": 4, "num_features": 6, "num_blocks": 4, "mid_features": 8, "value_range": 255.0},
        size=(16, 17),
    ),
    *(
        Layout(
            name=f"bsrn_x{scale}",
            repository="xiaom233/BSRN",
            file="basicsr/archs/BSRN_arch.py",
            bare=BASICSR,
            whose="the authors of BSRN",
            entry="params",
            make=lambda m, scale=scale: bsrn(m, scale),
            factors=BSRN_FACTORS,
            network="BSRN",
            arguments={"scale": scale, **BSRN},
            size=(19, 17),
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"spanv2_x{scale}",
            repository="Amazingren/NTIRE2026_ESR",
            file="models/team22_SPANV2_ESR.py",
            whose="the team of SPANV2 of NTIRE 2026",
            make=lambda m, scale=scale: m.SPANV2_ESR(3, 3, 8, scale, use_span_attn=False),
            factors=SPANV2_FACTORS,
            network="SPANV2",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 4},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="spanf_x4",
        repository="Amazingren/NTIRE2025_ESR",
        file="models/team24_SPANF.py",
        whose="the team of SPANF of NTIRE 2025",
        make=spanf,
        factors=SPANF_FACTORS,
        network="SPANF",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 4, "branches": False},
    ),
    *(
        Layout(
            name=f"smfanet_x{scale}",
            repository="Zheng-MJ/SMFANet",
            file="basicsr/archs/SMFANet_arch.py",
            bare=BASICSR,
            whose="the authors of SMFANet",
            entry="params",
            make=lambda m, scale=scale, ffn_scale=ffn_scale: m.SMFANet(8, 2, ffn_scale, scale),
            factors=SMFANET_FACTORS,
            network="SMFANet",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2, "expansion": ffn_scale},
            size=size,
        )
        for scale, ffn_scale, size in ((2, 2.0, (8, 15)), (3, 1.5, (25, 18)), (4, 2.0, (17, 13)))
    ),
    *(
        Layout(
            name=f"plksr_{mixer}_x{scale}",
            repository="spandrel",
            file="spandrel/architectures/PLKSR/__arch/PLKSR.py",
            whose="PLKSR's authors, as spandrel reads them",
            make=lambda m, scale=scale, mixer=mixer: m.PLKSR(
                dim=8, n_blocks=2, upscaling_factor=scale, ccm_type=mixer.upper(), kernel_size=5, use_ea=mixer != "iccm"
            ),
            network="PLKSR",
            arguments={
                "scale": scale,
                **PLKSR,
                "expand_kernel": kernels[0],
                "shrink_kernel": kernels[1],
                "attention": mixer != "iccm",
            },
        )
        for scale, mixer, kernels in ((2, "dccm", (3, 3)), (3, "ccm", (3, 1)), (4, "iccm", (1, 3)))
    ),
    *(
        Layout(
            name=f"realplksr_{kind}_x{scale}",
            repository="spandrel",
            file="spandrel/architectures/PLKSR/__arch/RealPLKSR.py",
            whose="the community's networks, as spandrel reads them",
            make=lambda m, scale=scale, options=options: m.RealPLKSR(
                dim=8, n_blocks=2, upscaling_factor=scale, kernel_size=5, **options
            ),
            constant=("to_img.init_pos",),
            network="RealPLKSR",
            arguments={"scale": scale, **PLKSR, "norm_groups": 4, "layer_norm": False, "dysample": False, **options},
        )
        for kind, scale, options in (
            ("group", 2, {}),
            ("layer", 4, {"layer_norm": True}),
            *(("dysample", scale, {"dysample": True}) for scale in (2, 3, 4)),
        )
    ),
]
