"""IMDN, RFDN and SPAN."""

from golden.references.sources import Layout

EVEN = {"fea_conv.weight": 1 / 255, "upsampler.0.weight": 255.0}
CHALLENGE = {"repository": "ofsoundof/NTIRE2022_ESR", "value_range": 255, "size": (19, 17)}
SPAN_CODE = {
    "repository": "hongyuanyu/SPAN",
    "file": "basicsr/archs/span_arch.py",
    "bare": ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.models"),
}


def merged(net, x):
    """The convolutions that the branches are merged into, as they are in the file."""
    for module in net.modules():
        if hasattr(module, "update_params"):
            module.update_params = lambda: None
    return net(x)


LAYOUTS = [
    *(
        Layout(
            name=f"imdn_x{scale}",
            repository="Zheng222/IMDN",
            file="model/architecture.py",
            whose="the authors of IMDN",
            prefix="module.",
            make=lambda m, scale=scale: m.IMDN(nf=16, upscale=scale),
            network="IMDN",
            arguments={"scale": scale, "num_features": 16, "num_blocks": 6},
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"imdn_kair_x{scale}",
            repository="cszn/KAIR",
            file="models/network_imdn.py",
            whose="KAIR, and the baseline of AIM 2019 and NTIRE 2022",
            make=lambda m, scale=scale: m.IMDN(nc=8, nb=2, upscale=scale),
            network="IMDN",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2},
        )
        for scale in (2, 3, 4)
    ),
    Layout(
        name="rfdn_x4",
        repository="njulj/RFDN",
        file="RFDN.py",
        whose="the authors of RFDN",
        make=lambda m: m.RFDN(nf=8),
        factors=EVEN,
        network="RFDN",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 4, "value_range": 255.0},
        value_range=255,
        size=(19, 17),
    ),
    Layout(
        name="rfdn_challenge_x4",
        **CHALLENGE,
        file="models/rfdn_baseline/RFDN.py",
        whose="the baseline of NTIRE 2022",
        make=lambda m: m.RFDN(nf=8),
        factors=EVEN,
        network="RFDN",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 4, "value_range": 255.0},
    ),
    Layout(
        name="rfdn_pruned_x4",
        **CHALLENGE,
        file="models/team40_rfdn_pruned.py",
        whose="the team RFDNPrune of NTIRE 2022",
        make=lambda m: m.RFDN(nf=40),
        factors=EVEN,
        network="RFDN",
        arguments={"scale": 4, "num_features": 40, "num_blocks": 4, "value_range": 255.0},
    ),
    *(
        Layout(
            name=f"span_branches_x{scale}",
            **SPAN_CODE,
            whose="the authors of SPAN, as trained",
            # Its single convolutions are random here, as stale as those of a file between two validations.
            make=lambda m, scale=scale: m.SPAN(3, 3, 8, scale),
            factors={"conv_1.sk.weight": 1 / 255, "conv_1.conv.0.weight": 1 / 255},
            network="SPAN",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 6},
        )
        for scale in (2, 4)
    ),
    Layout(
        name="span_merged_x4",
        **SPAN_CODE,
        whose="the authors of SPAN, after training",
        make=lambda m: m.SPAN(3, 3, 8, 4),
        call=merged,
        kept=r"eval_conv|conv_cat|upsampler",
        factors={"conv_1.eval_conv.weight": 1 / 255},
        network="SPAN",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 6},
    ),
    Layout(
        name="span_spandrel_no_norm_x2",
        repository="spandrel",
        file="spandrel/architectures/SPAN/__arch/span.py",
        whose="the community's networks, as spandrel reads them",
        make=lambda m: m.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=False),
        constant=("no_norm",),
        network="SPAN",
        arguments={"scale": 2, "num_features": 8, "num_blocks": 6, "mean_shift": False},
    ),
]
