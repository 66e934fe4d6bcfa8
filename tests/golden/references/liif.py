"""LIIF on two trunks, at whole scales and others."""

from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from golden.references.sources import Layout

SMALL = {"hidden_features": 16, "hidden_layers": 2}


def net(module: Any, encoder: str, **options: Any) -> Any:
    """The reference on an encoder."""
    return module.LIIF(
        encoder_spec={"name": encoder, "args": {"no_upsampling": True, **options}},
        imnet_spec={"name": "mlp", "args": {"out_dim": 3, "hidden_list": [16, 16]}},
    )


def enlarged(net: Any, lr: Tensor, *, scale: float) -> Tensor:
    """The whole result; in double precision and without a GPU, which the reference asks for."""
    height, width = (round(length * scale) for length in lr.shape[-2:])
    with patch.object(Tensor, "float", Tensor.double), patch.object(Tensor, "cuda", lambda self: self):
        rows, columns = ((2 * torch.arange(n).double() + 1) / n - 1 for n in (height, width))
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).view(1, -1, 2)
        cell = torch.tensor([2 / height, 2 / width], dtype=torch.float64).expand(1, height * width, 2)
        colours = net(2 * lr - 1, places, cell)
    return (colours / 2 + 0.5).view(1, height, width, 3).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


COMMON: dict[str, Any] = {"repository": "yinboc/liif", "file": "models/liif.py", "whose": "LIIF", "network": "LIIF"}
#: At odd scales, pixels lie on the centres of the last row and column, where the reference divides noise by noise.
LAYOUTS = [
    *(
        Layout(
            name=f"liif_x{scale}",
            make=lambda m: net(m, "edsr-baseline", n_resblocks=2, n_feats=8),
            arguments={"scale": scale, "trunk": "edsr", "trunk_args": {"num_features": 8, "num_blocks": 2}, **SMALL},
            constant=("encoder.sub_mean.", "encoder.add_mean."),
            call=partial(enlarged, scale=scale),
            **COMMON,
        )
        for scale in (2, 2.5, 4)
    ),
    Layout(
        name="liif_rdn_x3.7",
        make=lambda m: net(m, "rdn", G0=8, RDNconfig="A"),
        arguments={
            "scale": 3.7,
            "trunk": "rdn",
            "trunk_args": {"num_features": 8, "growth_rate": 32, "num_blocks": 20, "num_layers": 6},
            **SMALL,
        },
        call=partial(enlarged, scale=3.7),
        **COMMON,
    ),
]
