"""SRResNet and its relatives, DeepResNet and SRNet."""

import torch

from golden.references.sources import Layout, options

BASICSR = {
    "repository": "XPixelGroup/BasicSR",
    "entry": "params",
    "bare": ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.models"),
}
ZOOM = {
    "repository": "selous123/SRNet-zoom-pytorch",
    "root": "src",
    "whose": "the authors of SRNet",
    "constant": ("sub_mean.", "add_mean.", "model_ssl.sub_mean.", "model_ssl.add_mean."),
    "value_range": 255,
}
ZOOM_OPTIONS = {"n_resblocks": 2, "n_feats": 16, "n_colors": 3, "rgb_range": 255, "reduction": 16, "res_scale": 1}
#: So that the first layers give features of about 1, and the last ones colours of about 255.
EVEN = {"head.0.weight": 1 / 255, "tail.1.weight": 255.0}
ZOOM_TINY = {"num_features": 16, "num_blocks": 2, "value_range": 255.0}


def like_a_photograph(net, x):
    """ImageNet's normalisation before, and -1...1 to 0...1 after."""
    mean, std = (
        torch.tensor(v, dtype=x.dtype).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (net((x - mean) / std) + 1) / 2


LAYOUTS = [
    Layout(
        name="srresnet_twtygqyy_x4",
        repository="twtygqyy/pytorch-SRResNet",
        file="srresnet.py",
        whose="twtygqyy's pytorch-SRResNet",
        make=lambda m: m._NetG(),
        network="SRResNet",
        arguments={"scale": 4, "num_features": 64, "num_blocks": 16, "norm": "instance", "activation": "leaky_relu"},
    ),
    *(
        Layout(
            name=f"srresnet_lornatang_x{scale}",
            repository="Lornatang/SRGAN-PyTorch",
            entry="state_dict",
            file="model.py",
            whose="Lornatang's SRGAN-PyTorch",
            make=lambda m, scale=scale: m.SRResNet(3, 3, 8, 2, scale),
            network="SRResNet",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2, "norm": "batch", "activation": "prelu"},
            clipped=True,
        )
        for scale in (2, 4)
    ),
    Layout(
        name="srresnet_sgrvinod_x4",
        repository="sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution",
        file="models.py",
        whose="sgrvinod's tutorial",
        make=lambda m: m.SRResNet(n_channels=8, n_blocks=2, scaling_factor=4),
        call=like_a_photograph,
        network="SRResNet",
        arguments={
            "scale": 4,
            "num_features": 8,
            "num_blocks": 2,
            "norm": "batch",
            "activation": "prelu",
            "output": "tanh",
            "standardized": True,
            "upsampler_activation": True,
        },
    ),
    Layout(
        name="srresnet_leftthomas_x4",
        repository="leftthomas/SRGAN",
        file="model.py",
        whose="leftthomas's SRGAN",
        make=lambda m: m.Generator(4),
        network="SRResNet",
        arguments={
            "scale": 4,
            "num_features": 64,
            "num_blocks": 5,
            "norm": "batch",
            "activation": "prelu",
            "output": "tanh",
            "upsampler_activation": True,
        },
    ),
    *(
        Layout(
            name=f"srresnet_srnet_x{scale}",
            **{**ZOOM, "value_range": 255},
            file="src/model/srresnet.py",
            make=lambda m, scale=scale: m._NetG(options(**ZOOM_OPTIONS, scale=[scale])),
            network="SRResNet",
            arguments={"scale": scale, "num_features": 16, "num_blocks": 2},
        )
        for scale in (2, 4)
    ),
    *(
        Layout(
            name=f"srnet_x{scale}",
            **ZOOM,
            file="src/model/ssl.py",
            make=lambda m, scale=scale: m.EDSR_Zoom(options(**ZOOM_OPTIONS, attn=True, scale=[scale])),
            call=lambda net, x: net(x)[0],
            factors={**EVEN, **{f"model_ssl.{name}": factor for name, factor in EVEN.items()}},
            network="SRNet",
            arguments={"scale": scale, **ZOOM_TINY},
            size=(6, 6) if scale == 8 else (8, 8),  # the authors' rotations need a square
        )
        for scale in (2, 4, 8)
    ),
    Layout(
        name="srnet_edsr_mix_x4",
        **ZOOM,
        file="src/model/edsr.py",
        make=lambda m: m.EDSR(options(**ZOOM_OPTIONS, attn=True, scale=[4])),
        factors=EVEN,
        network="EDSR",
        arguments={"scale": 4, **ZOOM_TINY, "attention": "mix"},
        size=(8, 8),
    ),
    *(
        Layout(
            name=f"deepresnet_{norm.replace('+', '_')}_x3",
            repository="mengyangniu/DeepResNet_SR_MultipleEnhancement",
            file="model.py",
            whose="the project DeepResNet_SR_MultipleEnhancement",
            entry="state_dict",
            make=lambda m, norm=norm: m.res_sr_net(3, 40, "weight" in norm, "batch" in norm, True, True, 3, 1, 1.2),
            network="DeepResNet",
            arguments={"scale": 3, "norm": norm},
        )
        for norm in ("batch", "batch+weight", "weight")
    ),
    *(
        Layout(
            name=f"msrresnet_basicsr_x{scale}",
            **BASICSR,
            file="basicsr/archs/srresnet_arch.py",
            whose="BasicSR",
            make=lambda m, scale=scale: m.MSRResNet(3, 3, 8, 2, scale),
            network="MSRResNet",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="msrresnet_kair_x4",
        repository="cszn/KAIR",
        file="models/network_msrresnet.py",
        whose="KAIR",
        make=lambda m: m.MSRResNet1(3, 3, 8, 2, 4),
        network="MSRResNet",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 2},
    ),
]
