"""CARN, PAN and LapSRN."""

from golden.references.sources import Layout

SCALES = {"scales": [2, 3, 4]}
SUPER_IMAGE = {
    "repository": "eugenesiow/super-image",
    "root": "src",
    "bare": ("super_image", "super_image.data", "super_image.models"),
    "whose": "super-image",
}
PAN_TINY = {"num_features": 8, "up_features": 8, "num_blocks": 2}

LAYOUTS = [
    *(
        Layout(
            name=f"carn_x{scale}",
            repository="nmhkahn/CARN-pytorch",
            file="carn/model/carn.py",
            root="carn",
            whose="the authors of CARN",
            make=lambda m: m.Net(multi_scale=True, group=1),
            call=lambda net, x, scale=scale: net(x, scale),
            network="CARN",
            arguments={"scale": scale, **SCALES},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="carn_single_x2",
        repository="nmhkahn/CARN-pytorch",
        file="carn/model/carn.py",
        root="carn",
        whose="the authors of CARN, trained for one scale",
        make=lambda m: m.Net(scale=2, multi_scale=False, group=1),
        call=lambda net, x: net(x, 2),
        network="CARN",
        arguments={"scale": 2, "scales": [2]},
    ),
    Layout(
        name="carn_m_x4",
        repository="nmhkahn/CARN-pytorch",
        file="carn/model/carn_m.py",
        root="carn",
        whose="the authors of CARN",
        make=lambda m: m.Net(multi_scale=True, group=4),
        call=lambda net, x: net(x, 4),
        network="CARN",
        arguments={"scale": 4, **SCALES, "groups": 4, "recursive": True},
    ),
    Layout(
        name="carn_torchsr_x3",
        repository="Coloquinte/torchSR",
        file="torchsr/models/carn.py",
        root="torchsr/models",
        whose="torchSR",
        make=lambda m: m.CARN(3, pretrained=False),
        call=lambda net, x: net(x, 3),
        network="CARN",
        arguments={"scale": 3, **SCALES},
    ),
    Layout(
        name="carn_super_image_x2",
        **SUPER_IMAGE,
        file="src/super_image/models/carn/modeling_carn.py",
        make=lambda m: m.CarnModel(m.CarnConfig(scale=2)),
        network="CARN",
        arguments={"scale": 2, **SCALES},
    ),
    *(
        Layout(
            name=f"pan_x{scale}",
            repository="zhaohengyuan1/PAN",
            file="codes/models/archs/PAN_arch.py",
            root="codes",
            bare=("models",),
            whose="the authors of PAN",
            make=lambda m, scale=scale: m.PAN(3, 3, 8, 8, 2, scale),
            network="PAN",
            arguments={"scale": scale, **PAN_TINY},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="pan_super_image_x4",
        **SUPER_IMAGE,
        file="src/super_image/models/pan/modeling_pan.py",
        make=lambda m: m.PanModel(m.PanConfig(scale=4, nf=8, unf=8, nb=2)),
        network="PAN",
        arguments={"scale": 4, **PAN_TINY},
    ),
    *(
        Layout(
            name=f"lapsrn_twtygqyy_x{scale}",
            repository="twtygqyy/pytorch-LapSRN",
            file="lapsrn.py",
            whose="twtygqyy's pytorch-LapSRN",
            make=lambda m: m.Net(),
            call=lambda net, x, index=index: net(x)[index],
            channels=1,
            network="LapSRN",
            arguments={"scale": scale, "num_layers": 10, "deconv_kernel": 4, "bias": False},
        )
        for index, scale in enumerate((2, 4))
    ),
    Layout(
        name="lapsrn_lornatang_x8",
        repository="Lornatang/LapSRN-PyTorch",
        entry="state_dict",
        file="model.py",
        whose="Lornatang's LapSRN-PyTorch",
        make=lambda m: m.LapSRN(),
        call=lambda net, x: net(x)[2],
        channels=1,
        network="LapSRN",
        arguments={"scale": 8, "num_layers": 10, "deconv_kernel": 4},
    ),
]  # fmt: skip
