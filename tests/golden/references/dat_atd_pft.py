"""DAT, ATD and PFT."""

from unittest.mock import patch

import torch

from golden.references.sources import Layout, options

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


ATD = {
    "repository": "spandrel",
    "file": "spandrel/architectures/ATD/__arch/atd_arch.py",
    "constant": ("relative_position_index_SA",),
    "network": "ATD",
}
TINY_ATD = {"num_features": 16, "num_groups": 2, "num_blocks": 2, "num_heads": 4, "window": 4, "narrow": 3}


def atd(m, scale, upsampler, group, **more):
    return m.ATD(
        upscale=scale, embed_dim=16, depths=[2, 2], num_heads=[4, 4], window_size=4, category_size=group,
        reducted_dim=3, upsampler=upsampler, **more,
    )  # fmt: skip


def in_order(net, x):
    """With pixels of one category in the order of the picture; the authors leave it to the machine."""
    stably = lambda values, dim, stable, sort=torch.sort: sort(values, dim=dim, stable=True)  # noqa: E731
    with patch.object(torch, "sort", stably):
        return net(x)


PFT = {
    "repository": "LabShuHangGU/PFT-SR",
    "file": "basicsr/archs/pft_arch.py",
    "bare": ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.models"),
    "constant": ("relative_position_index_SA",),
    "network": "PFT",
}


def pft(m, scale, upsampler, width, depths, kept, heads, **more):
    """With what the authors' operators for CUDA compute, by all products."""
    m.SMM_QmK = options(apply=lambda q, k, index: (q @ k).gather(-1, index.long()))
    m.SMM_AmV = options(
        apply=lambda weights, v, index: (
            torch.zeros(*index.shape[:2], v.shape[1], dtype=v.dtype).scatter(-1, index.long(), weights) @ v
        )
    )
    topk = [count for count, depth in zip(kept, depths, strict=True) for _ in range(depth)]
    return m.PFT(
        upscale=scale, embed_dim=width, depths=depths, num_heads=heads, num_topk=topk, window_size=4,
        upsampler=upsampler, **more,
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
    *(
        Layout(
            name=f"atd_{kind}_x{scale}",
            whose="the authors of ATD",
            make=lambda m, scale=scale, theirs=theirs, group=group, tokens=tokens, side=side, ratio=ratio: atd(
                m, scale, theirs, group, num_tokens=tokens, convffn_kernel_size=side, mlp_ratio=ratio
            ),
            arguments={
                "scale": scale, **TINY_ATD, "group": group, "num_tokens": tokens, "kernel_size": side,
                "mlp_ratio": ratio, "upsampler": ours,
            },
            size=size,
            call=in_order,
            **ATD,
        )
        for kind, theirs, ours, scale, group, tokens, side, ratio, size in (
            ("light", "pixelshuffledirect", "direct", 2, 20, 6, 7, 1.0, (9, 14)),  # the last group is filled up
            ("light", "pixelshuffledirect", "direct", 3, 128, 5, 7, 1.0, (7, 6)),  # more than there are pixels
            ("classical", "pixelshuffle", "pixel_shuffle", 2, 24, 8, 5, 2.0, (12, 10)),
            ("classical", "pixelshuffle", "pixel_shuffle", 3, 16, 8, 5, 2.0, (8, 8)),
        )
    ),
    *(
        Layout(
            name=f"pft_{kind}_x{scale}",
            whose="the authors of PFT",
            make=lambda m, given=(scale, theirs, width, depths, kept, heads), side=side, ratio=ratio: pft(
                m, *given, convffn_kernel_size=side, mlp_ratio=ratio
            ),
            arguments={
                "scale": scale, "num_features": width, "num_blocks": depths, "num_heads": heads, "window": 4,
                "kept": kept, "kernel_size": side, "mlp_ratio": ratio, "shared_bias": kind == "light",
                "upsampler": ours,
            },
            size=size,
            **PFT,
        )
        for kind, theirs, ours, scale, width, depths, kept, heads, side, ratio, size in (
            ("light", "pixelshuffledirect", "direct", 2, 16, [2, 4, 2], [16, 4, 2], 4, 7, 1.0, (9, 14)),
            ("light", "pixelshuffledirect", "direct", 3, 16, [4, 2], [16, 9], 2, 7, 1.0, (7, 6)),
            ("classical", "pixelshuffle", "pixel_shuffle", 4, 104, [2, 2, 2], [16, 4, 1], 4, 5, 2.0, (5, 8)),
        )
    ),
]  # fmt: skip
