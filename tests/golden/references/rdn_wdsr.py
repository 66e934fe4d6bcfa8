"""RDN and WDSR."""

from golden.references.sources import Layout, options

RDN_TINY = {"num_features": 8, "growth_rate": 8, "num_blocks": 3, "num_layers": 2}
WDSR_OPTIONS = {
    "n_resblocks": 2, "n_feats": 8, "block_feats": 32, "n_colors": 3, "res_scale": 1,
    "r_mean": 0.4488, "g_mean": 0.4371, "b_mean": 0.4040,
}  # fmt: skip


def on_the_cpu(net, x):
    """The authors keep the mean colour in a tensor and send it to a GPU at every call."""
    net.rgb_mean = type("Mean", (), {"cuda": lambda self, mean=net.rgb_mean: mean})()
    return net(x)


LAYOUTS = [
    *(
        Layout(
            name=f"rdn_yjn870_x{scale}",
            repository="yjn870/RDN-pytorch",
            file="models.py",
            whose="yjn870's RDN-pytorch",
            make=lambda m, scale=scale: m.RDN(scale, 3, 8, 8, 3, 2),
            network="RDN",
            arguments={"scale": scale, **RDN_TINY},
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"rdn_edsr_pytorch_x{scale}",
            repository="thstkdgus35/EDSR-PyTorch",
            file="src/model/rdn.py",
            root="src",
            whose="EDSR-PyTorch",
            make=lambda m, scale=scale: m.RDN(
                options(G0=8, RDNkSize=3, RDNconfig="A", n_colors=3, scale=[scale], rgb_range=255)
            ),
            network="RDN",
            arguments={"scale": scale, "num_features": 8, "growth_rate": 32, "num_blocks": 20, "num_layers": 6},
            value_range=255,
        )
        for scale in (2, 4)
    ),
    Layout(
        name="rdn_torchsr_x4",
        repository="Coloquinte/torchSR",
        file="torchsr/models/rdn.py",
        root="torchsr/models",
        whose="torchSR",
        make=lambda m: m.RDN(4, 8, 3, 2, 4),
        network="RDN",
        arguments={"scale": 4, **RDN_TINY, "growth_rate": 4},
    ),
    Layout(
        name="rdn_lornatang_x4",
        repository="Lornatang/RDN-PyTorch",
        entry="state_dict",
        file="model.py",
        whose="Lornatang's RDN-PyTorch",
        make=lambda m: m.RDN(channels=8, num_rdb=3, num_rb=2, growth_channels=8, upscale_factor=4),
        network="RDN",
        arguments={"scale": 4, **RDN_TINY},
        clipped=True,
    ),
    *(
        Layout(
            name=f"wdsr_{block}_x{scale}",
            repository="JiahuiYu/wdsr_ntire2018",
            file=f"wdsr_{block}.py",
            whose="the authors of WDSR",
            make=lambda m, scale=scale: m.MODEL(options(**WDSR_OPTIONS, scale=[scale])),
            call=on_the_cpu,
            network="WDSR",
            arguments={
                "scale": scale, "num_features": 8, "num_blocks": 2, "block": block.upper(),
                "expansion": 4 if block == "a" else 6,
            },
            value_range=255,
        )
        for block in "ab"
        for scale in (2, 3, 4)
    ),
    Layout(
        name="wdsr_ychfan_x2",
        repository="ychfan/wdsr",
        file="models/wdsr.py",
        bare=("models", "common"),
        whose="ychfan's wdsr",
        make=lambda m: m.MODEL(
            options(
                scale=2, num_channels=3, num_blocks=2, num_residual_units=8, width_multiplier=4, temporal_size=None,
                image_mean=0.5,
            )
        ),
        call=lambda net, x: net(x.clone()),
        network="WDSR",
        arguments={
            "scale": 2, "num_features": 8, "num_blocks": 2, "block": "A", "expansion": 4, "value_range": 1.0,
            "mean": [0.5, 0.5, 0.5],
        },
    ),
]  # fmt: skip
