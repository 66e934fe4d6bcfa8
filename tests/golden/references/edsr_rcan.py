"""EDSR, MDSR and RCAN."""

from golden.references.sources import Layout, options

EDSR_PYTORCH = "thstkdgus35/EDSR-PyTorch"
EDSR_OPTIONS = {"n_resblocks": 2, "n_feats": 8, "n_colors": 3, "rgb_range": 255}
BASICSR = {
    "repository": "XPixelGroup/BasicSR",
    "entry": "params",
    "bare": ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.models"),
    "whose": "BasicSR",
}
SUPER_IMAGE = {"repository": "eugenesiow/super-image", "root": "src", "whose": "super-image"}
#: So that the first layer gives features of about 1, and the last one colours of about 255.
EVEN = {"head.0.weight": 1 / 255, "tail.1.weight": 255.0}
BIG_RCAN = {"num_features": 8, "num_groups": 2, "num_blocks": 2, "reduction": 4, "value_range": 255.0}

LAYOUTS = [
    *(
        Layout(
            name=f"edsr_baseline_x{scale}",
            repository=EDSR_PYTORCH,
            file="src/model/edsr.py",
            root="src",
            whose="EDSR-PyTorch",
            make=lambda m, scale=scale: m.EDSR(options(**EDSR_OPTIONS, scale=[scale], res_scale=1)),
            network="EDSR",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2, "value_range": 255.0},
            value_range=255,
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="edsr_x4",
        repository=EDSR_PYTORCH,
        file="src/model/edsr.py",
        root="src",
        whose="EDSR-PyTorch",
        make=lambda m: m.EDSR(options(**EDSR_OPTIONS, scale=[4], res_scale=0.1)),
        network="EDSR",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 2, "res_scale": 0.1, "value_range": 255.0},
        value_range=255,
    ),
    *(
        Layout(
            name=f"mdsr_x{scale}",
            repository=EDSR_PYTORCH,
            file="src/model/mdsr.py",
            root="src",
            whose="EDSR-PyTorch",
            # The file is found by these two numbers, of which 16 is the baseline's.
            make=lambda m: m.MDSR(options(**{**EDSR_OPTIONS, "n_resblocks": 16, "n_feats": 64}, scale=[2, 3, 4])),
            call=lambda net, x, index=index: (net.set_scale(index), net(x))[1],
            network="MDSR",
            arguments={"scale": scale, "scales": [2, 3, 4], "num_features": 64, "num_blocks": 16},
            value_range=255,
        )
        for index, scale in enumerate((2, 3, 4))
    ),
    *(
        Layout(
            name=f"rcan_x{scale}",
            repository="yulunzhang/RCAN",
            file="RCAN_TestCode/code/model/rcan.py",
            root="RCAN_TestCode/code",
            whose="the authors of RCAN",
            make=lambda m, scale=scale: m.RCAN(
                options(**EDSR_OPTIONS, n_resgroups=2, reduction=4, res_scale=1, scale=[scale], data_train="DIV2K")
            ),
            factors=EVEN,
            network="RCAN",
            size=(4, 3) if scale == 8 else (7, 6),
            arguments={"scale": scale, **BIG_RCAN},
            value_range=255,
        )
        for scale in (2, 3, 4, 8)
    ),
    Layout(
        name="rcan_edsr_pytorch_x2",
        repository=EDSR_PYTORCH,
        file="src/model/rcan.py",
        root="src",
        whose="EDSR-PyTorch",
        make=lambda m: m.RCAN(options(**EDSR_OPTIONS, n_resgroups=2, reduction=4, res_scale=1, scale=[2])),
        factors=EVEN,
        network="RCAN",
        arguments={"scale": 2, **BIG_RCAN},
        value_range=255,
    ),
    *(
        Layout(
            name=f"edsr_basicsr_x{scale}",
            **BASICSR,
            file="basicsr/archs/edsr_arch.py",
            make=lambda m, scale=scale: m.EDSR(3, 3, 8, 2, scale, 1.0, 255.0),
            network="EDSR",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2, "value_range": 255.0},
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"rcan_basicsr_x{scale}",
            **BASICSR,
            file="basicsr/archs/rcan_arch.py",
            make=lambda m, scale=scale: m.RCAN(3, 3, 8, 2, 2, 4, scale, 1, 255.0),
            factors={"conv_first.weight": 1 / 255, "conv_last.weight": 255.0},
            network="RCAN",
            arguments={"scale": scale, **BIG_RCAN},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="edsr_torchsr_x4",
        repository="Coloquinte/torchSR",
        file="torchsr/models/edsr.py",
        root="torchsr/models",
        whose="torchSR",
        make=lambda m: m.EDSR(2, 8, 4, 1.0),
        network="EDSR",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 2, "value_range": 255.0},
    ),
    Layout(
        name="rcan_torchsr_x2",
        repository="Coloquinte/torchSR",
        file="torchsr/models/rcan.py",
        root="torchsr/models",
        whose="torchSR",
        make=lambda m: m.RCAN(2, 2, 8, 4, 2),
        factors=EVEN,
        network="RCAN",
        arguments={"scale": 2, **BIG_RCAN},
    ),
    Layout(
        name="edsr_super_image_x2",
        **SUPER_IMAGE,
        file="src/super_image/models/edsr/modeling_edsr.py",
        bare=("super_image", "super_image.data", "super_image.models"),
        make=lambda m: m.EdsrModel(m.EdsrConfig(scale=2, n_resblocks=2, n_feats=8)),
        network="EDSR",
        # The layers sub_mean and add_mean are in its file, and are not used.
        arguments={"scale": 2, "num_features": 8, "num_blocks": 2, "value_range": 1.0, "mean": [0.0, 0.0, 0.0]},
    ),
    Layout(
        name="rcan_super_image_x2",
        **SUPER_IMAGE,
        file="src/super_image/models/rcan/modeling_rcan.py",
        bare=("super_image", "super_image.data", "super_image.models"),
        make=lambda m: m.RcanModel(m.RcanConfig(scale=2, n_resgroups=2, n_resblocks=2, n_feats=8, reduction=4)),
        network="RCAN",
        # It reads 0...1, and subtracts the mean colour of 0...255.
        arguments={
            "scale": 2,
            **BIG_RCAN,
            "value_range": 1.0,
            "mean": [255 * mean for mean in (0.4488, 0.4371, 0.404)],
        },
    ),
    Layout(
        name="mdsr_super_image_x4",
        **SUPER_IMAGE,
        file="src/super_image/models/mdsr/modeling_mdsr.py",
        bare=("super_image", "super_image.data", "super_image.models"),
        make=lambda m: m.MdsrModel(m.MdsrConfig(scale=4)),
        network="MDSR",
        arguments={
            "scale": 4,
            "scales": [4],
            "num_features": 64,
            "num_blocks": 32,
            "res_scale": 0.1,
            "value_range": 1.0,
            "mean": [0.0, 0.0, 0.0],
        },
    ),
    Layout(
        name="edsr_lornatang_x4",
        repository="Lornatang/EDSR-PyTorch",
        entry="state_dict",
        file="model.py",
        whose="Lornatang's EDSR-PyTorch",
        make=lambda m: m.EDSR(4),
        network="EDSR",
        arguments={"scale": 4, "num_features": 64, "num_blocks": 16, "res_scale": 0.1, "value_range": 255.0},
        call=lambda net, x: net(x.clone()),
        constant=("mean",),
    ),
    Layout(
        name="rcan_lornatang_x4",
        repository="Lornatang/RCAN-PyTorch",
        entry="state_dict",
        file="model.py",
        whose="Lornatang's RCAN-PyTorch",
        make=lambda m: m.RCAN(3, 3, 8, 4, 2, 2, 4),
        network="RCAN",
        arguments={"scale": 4, **BIG_RCAN, "value_range": 1.0},
        call=lambda net, x: net(x.clone()),
        constant=("mean",),
    ),
    *(
        Layout(
            name=f"rcan_yjn870_x{scale}",
            repository="yjn870/RCAN-pytorch",
            file="model.py",
            whose="yjn870's RCAN-pytorch",
            make=lambda m, scale=scale: m.RCAN(options(scale=scale, num_features=8, num_rg=2, num_rcab=2, reduction=4)),
            network="RCAN",
            arguments={"scale": scale, **BIG_RCAN, "value_range": 1.0, "upsampler": "direct", "mean": [0.0, 0.0, 0.0]},
        )
        for scale in (2, 4)
    ),
]
