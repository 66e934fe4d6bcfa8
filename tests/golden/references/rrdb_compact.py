"""RRDB (ESRGAN, Real-ESRGAN) and Compact."""

from golden.references.sources import Layout

BASICSR = {
    "repository": "XPixelGroup/BasicSR",
    "entry": "params_ema",
    "bare": ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.models"),
}
TINY = {"num_features": 8, "growth_rate": 4, "num_blocks": 2}

LAYOUTS = [
    *(
        Layout(
            name=f"rrdb_x{scale}",
            **BASICSR,
            file="basicsr/archs/rrdbnet_arch.py",
            whose="Real-ESRGAN and BasicSR",
            make=lambda m, scale=scale: m.RRDBNet(3, 3, scale, 8, 2, 4),
            network="RRDB",
            arguments={"scale": scale, **TINY, "unshuffle": 4 // scale},
            size=(8, 12),
        )
        for scale in (1, 2, 4)
    ),
    Layout(
        name="rrdb_esrgan_x4",
        repository="xinntao/ESRGAN",
        file="RRDBNet_arch.py",
        whose="the authors of ESRGAN",
        make=lambda m: m.RRDBNet(3, 3, 8, 2, 4),
        network="RRDB",
        arguments={"scale": 4, **TINY},
    ),
    Layout(
        name="rrdb_kair_x2",
        repository="cszn/KAIR",
        file="models/network_rrdbnet.py",
        whose="KAIR (BSRGAN)",
        make=lambda m: m.RRDBNet(3, 3, 8, 2, 4, 2),
        network="RRDB",
        arguments={"scale": 2, **TINY},
    ),
    *(
        Layout(
            name=f"rrdb_old_x{scale}",
            repository="cszn/KAIR",
            file="models/network_rrdb.py",
            whose="ESRGAN's first release, and KAIR",
            make=lambda m, scale=scale: m.RRDB(3, 3, 8, 2, 4, scale),
            network="RRDB",
            arguments={"scale": scale, **TINY, "growth_rate": 32},
            size=(4, 3) if scale == 8 else (7, 6),
        )
        for scale in (2, 3, 4, 8)
    ),
    Layout(
        name="rrdb_spandrel_x1",
        repository="spandrel",
        file="spandrel/architectures/ESRGAN/__arch/RRDB.py",
        whose="the community's networks for x1, as spandrel reads them",
        make=lambda m: m.RRDBNet(num_filters=8, num_blocks=2, scale=1),
        network="RRDB",
        arguments={"scale": 1, **TINY, "growth_rate": 32},
    ),
    *(
        Layout(
            name=f"compact_x{scale}",
            **BASICSR,
            file="basicsr/archs/srvgg_arch.py",
            whose="Real-ESRGAN and BasicSR",
            make=lambda m, scale=scale: m.SRVGGNetCompact(3, 3, 8, 3, scale, "prelu"),
            network="Compact",
            arguments={"scale": scale, "num_features": 8, "num_convs": 3},
        )
        for scale in (1, 2, 4)
    ),
]
