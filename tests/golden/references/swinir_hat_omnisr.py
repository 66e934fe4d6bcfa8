"""SwinIR, HAT and OmniSR."""

from golden.references.sources import Layout

SWINIR = {
    "repository": "spandrel",
    "file": "spandrel/architectures/SwinIR/__arch/SwinIR.py",
    "constant": ("relative_position_index", "attn_mask"),
    "network": "SwinIR",
    "size": (9, 14),
}
TINY = {"num_features": 12, "num_groups": 2, "num_blocks": 2, "num_heads": 3, "window": 4, "mlp_ratio": 2.0}


def swinir(m, scale, upsampler, **more):
    return m.SwinIR(
        upscale=scale, embed_dim=12, depths=[2, 2], num_heads=[3, 3], window_size=4, mlp_ratio=2,
        upsampler=upsampler, img_size=8, **more,
    )  # fmt: skip


LAYOUTS = [
    *(
        Layout(
            name=f"swinir_{kind}_x{scale}",
            whose="the authors of SwinIR",
            make=lambda m, scale=scale, theirs=theirs, more=more: swinir(m, scale, theirs, **more),
            arguments={"scale": scale, **TINY, "upsampler": ours, "narrow_convs": bool(more)},
            **SWINIR,
        )
        for kind, theirs, ours, scale, more in (
            ("light", "pixelshuffledirect", "direct", 2, {}),
            ("light", "pixelshuffledirect", "direct", 3, {}),
            ("classical", "pixelshuffle", "pixel_shuffle", 3, {}),
            ("classical", "pixelshuffle", "pixel_shuffle", 4, {}),
            ("real", "nearest+conv", "nearest", 4, {}),
            ("real_large", "nearest+conv", "nearest", 2, {"resi_connection": "3conv"}),
        )
    ),
    *(
        Layout(
            name=f"hat_x{scale}",
            repository="spandrel",
            file="spandrel/architectures/HAT/__arch/HAT.py",
            whose="the authors of HAT",
            constant=("index_SA", "index_OCA"),
            size=(9, 14),
            make=lambda m, scale=scale, squeeze=squeeze: m.HAT(
                upscale=scale,
                embed_dim=12,
                depths=[2, 2],
                num_heads=[3, 3],
                window_size=4,
                mlp_ratio=2,
                compress_ratio=squeeze,
                squeeze_factor=4,
                overlap_ratio=0.5,
                img_size=8,
            ),
            network="HAT",
            arguments={"scale": scale, **TINY, "key_window": 6, "compression": squeeze, "reduction": 4},
        )
        for scale, squeeze in ((2, 3), (3, 6), (4, 3))
    ),
    *(
        Layout(
            name=f"omnisr_x{scale}",
            repository="spandrel",
            file="spandrel/architectures/OmniSR/__arch/OmniSR.py",
            whose="the authors of OmniSR",
            size=(19, 25),
            make=lambda m, scale=scale, blocks=blocks: m.OmniSR(
                num_feat=8, res_num=2, block_num=blocks, window_size=4, up_scale=scale
            ),
            network="OmniSR",
            arguments={"scale": scale, "num_features": 8, "num_groups": 2, "num_blocks": blocks, "window": 4},
        )
        for scale, blocks in ((2, 1), (3, 2), (4, 1))
    ),
]
