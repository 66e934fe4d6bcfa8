"""Networks as mmagic and mmediting name them."""

from golden.references.sources import Layout

MMAGIC = {
    "repository": "open-mmlab/mmagic",
    "whose": "mmagic and mmediting",
    "bare": ("mmagic", "mmagic.models", "mmagic.models.archs", "mmagic.models.utils", "mmagic.models.editors",
             "mmagic.models.editors.edsr", "mmagic.models.editors.esrgan", "mmagic.models.editors.rdn",
             "mmagic.models.editors.srcnn", "mmagic.models.editors.srgan", "mmagic.structures", "mmagic.utils"),
    "entry": "state_dict",
    "prefix": "generator.",
}  # fmt: skip
EDITORS = "mmagic/models/editors/"

LAYOUTS = [
    *(
        Layout(
            name=f"edsr_mmagic_x{scale}",
            **MMAGIC,
            file=EDITORS + "edsr/edsr_net.py",
            make=lambda m, scale=scale: m.EDSRNet(3, 3, 8, 2, scale),
            network="EDSR",
            arguments={"scale": scale, "num_features": 8, "num_blocks": 2, "value_range": 1.0},
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"rdn_mmagic_x{scale}",
            **MMAGIC,
            file=EDITORS + "rdn/rdn_net.py",
            make=lambda m, scale=scale: m.RDNNet(3, 3, 8, 3, scale, 2, 8),
            network="RDN",
            arguments={"scale": scale, "num_features": 8, "growth_rate": 8, "num_blocks": 3, "num_layers": 2},
        )
        for scale in (2, 3, 4)
    ),
    *(
        Layout(
            name=f"rrdb_mmagic_x{scale}",
            **MMAGIC,
            file=EDITORS + "esrgan/rrdb_net.py",
            make=lambda m, scale=scale: m.RRDBNet(3, 3, 8, 2, 4, scale),
            network="RRDB",
            arguments={"scale": scale, "num_features": 8, "growth_rate": 4, "num_blocks": 2, "unshuffle": 4 // scale},
            size=(8, 12),
        )
        for scale in (2, 4)
    ),
    Layout(
        name="srcnn_mmagic_x3",
        **MMAGIC,
        file=EDITORS + "srcnn/srcnn_net.py",
        make=lambda m: m.SRCNNNet((3, 64, 32, 3), (9, 1, 5), 3),
        network="SRCNN",
        arguments={"scale": 3, "channels": 3, "mapping_kernel": 1},
    ),
    Layout(
        name="msrresnet_mmagic_x4",
        **MMAGIC,
        file=EDITORS + "srgan/sr_resnet.py",
        make=lambda m: m.MSRResNet(3, 3, 8, 2, 4),
        network="MSRResNet",
        arguments={"scale": 4, "num_features": 8, "num_blocks": 2},
    ),
]
