"""DAT, ATD and PFT."""

from golden.references.sources import Layout

DAT = {
    "repository": "spandrel",
    "file": "spandrel/architectures/DAT/__arch/DAT.py",
    "constant": ("relative_position_index", "rpe_biases", "attn_mask_0", "attn_mask_1"),
    "network": "DAT",
}
TINY_DAT = {"num_features": 48, "num_heads": 4, "mlp_ratio": 2.0}


def dat(m, scale, upsampler, groups, blocks, window, **more):
    return m.DAT(
        upscale=scale, embed_dim=48, depth=[blocks] * groups, num_heads=[4] * groups, expansion_factor=2,
        split_size=window, upsampler=upsampler, img_size=8, **more,
    )  # fmt: skip


LAYOUTS = [
    *(
        Layout(
            name=f"dat_{kind}_x{scale}",
            whose="the authors of DAT",
            make=lambda m, scale=scale, theirs=theirs, shape=(groups, blocks, window), more=more: dat(
                m, scale, theirs, *shape, **more
            ),
            arguments={
                "scale": scale, **TINY_DAT, "num_groups": groups, "num_blocks": blocks, "window": window,
                "upsampler": ours, "narrow_convs": bool(more),
            },
            size=size,
            **DAT,
        )
        for kind, theirs, ours, scale, groups, blocks, window, size, more in (
            ("light", "pixelshuffledirect", "direct", 2, 1, 4, (2, 4), (9, 14), {"resi_connection": "3conv"}),
            ("light", "pixelshuffledirect", "direct", 3, 1, 3, (2, 4), (8, 12), {"resi_connection": "3conv"}),
            ("classical", "pixelshuffle", "pixel_shuffle", 3, 2, 2, (2, 4), (8, 8), {}),
            ("classical", "pixelshuffle", "pixel_shuffle", 4, 2, 3, (2, 8), (5, 11), {}),
        )
    ),
]  # fmt: skip
