"""How far each network looks, and what tiles change: the tables of docs/tiles.md.

SR_DATA=FOLDER python benchmarks/tiles.py [NETWORK ...]

Networks that look at a part of the picture get its size and the largest difference; those that look everywhere get, in
levels of 8 bit, the largest difference, its root mean square, the share of more than one level, and the steps of the
difference from one pixel to the next: where cut tiles meet, where blended tiles meet, and everywhere.

Networks have their full depth, which decides how far they look, but a width of about 16 features, which does not, and
random weights; with ``--weights FOLDER``, those that have published weights there are run with them, in full.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.data.files.io import read_picture
from sr_lightning.errors import ConfigError
from sr_lightning.inference import upscale_tiles
from sr_lightning.inference.engines.network import field_of
from sr_lightning.inference.tiles.blending import blend_tiles
from sr_lightning.inference.tiles.boxes import spans
from sr_lightning.weights.load import load_weights

TILE = 64
NARROW: dict[str, list[str]] = {
    "edsr": ["model.num_features=16"],
    "edsr_baseline": ["model.num_features=16"],
    "edsr_small": ["model.num_features=16"],
    "mdsr": ["model.scales=[2]", "model.num_features=16"],
    "rdn": ["model.num_features=16", "model.growth_rate=8"],
    "rdn_a": ["model.num_features=16", "model.growth_rate=8"],
    "rcan": ["model.num_features=16", "model.reduction=4"],
    "vdsr": ["model.num_features=16"],
    "drcn": ["model.num_features=16"],
    "drrn_b1u9": ["model.num_features=16"],
    "drrn_b1u25": ["model.num_features=16"],
    "lapsrn": ["model.num_features=16"],
    "mslapsrn": ["model.num_features=16"],
    "carn": ["model.scales=[2]", "model.num_features=16"],
    "carn_m": ["model.scales=[2]", "model.num_features=16"],
    "srresnet": ["model.num_features=16"],
    "srnet": ["model.num_features=32"],
    "wdsr_a": ["model.num_features=16"],
    "imdn": ["model.num_features=16", "model.reduction=4"],
    "plksr": ["model.num_features=16", "model.num_large=4"],
    "plksr_paper": ["model.num_features=16", "model.num_large=4"],
    "plksr_tiny": ["model.num_features=16", "model.num_large=4"],
    "realplksr": ["model.num_features=16", "model.num_large=4"],
    "realplksr_dysample": ["model.num_features=16", "model.num_large=4"],
    "swinir": ["model.num_features=30"],
    "hat": ["model.num_features=30"],
    "hat_s": ["model.num_features=30"],
    "dat": ["model.num_features=96"],
    "atd": ["model.num_features=30"],
    "pft": ["model.num_features=30"],
}
PUBLISHED = {
    "imdn": "IMDN_x2.pth", "pan": "PAN_x2.pth", "carn_m": "CARN-M_x234.pth", "rfdn": "RFDN_AIM_x4.pth",
    "dat_light": "DAT_light_x2.safetensors",
    "rlfn": "RLFN_x2.pth", "rlfn_ntire": "RLFN_NTIRE_x4.pth", "bsrn": "BSRN_x2.pth", "smfanet": "SMFANet_DIV2K_x2.pth",
    "smfanet_plus": "SMFANet_plus_DF2K_x4.pth", "spanf": "NTIRE25_team24_spanf.pth",
    "spanv2": "NTIRE26_team22_spanv2_c2.pth",
}  # fmt: skip


def network(name: str, weights: Path | None) -> tuple[Any, str]:
    """A network for luma or RGB, and where its weights come from."""
    torch.manual_seed(0)
    file = next(weights.parent.glob(f"weights*/{PUBLISHED[name]}")) if weights and name in PUBLISHED else None
    scale = 4 if file and "_x2" not in file.name and "x234" not in file.name else 8 if name == "glean" else 2
    model = build(compose("train", [f"model={name}", f"scale={scale}", *([] if file else NARROW.get(name, []))]).model)
    if file:
        load_weights(model, str(file))
    else:  # published initialisations can be so small that equality says nothing
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=(1 / parameter[0].numel()) ** 0.5)
    return model.eval(), "published" if file else "random"


@torch.inference_mode()
def whole(model: Any, picture: Any) -> torch.Tensor:
    return model(torch.from_numpy(picture)[None].float() / 255)[0]


def exactness(model: Any, picture: Any, halo: int) -> str:
    """Largest difference between the result in tiles and the whole one, which random weights may take beyond [0, 1]."""
    expected, worst = whole(model, picture), 0.0
    for box, part in upscale_tiles(model, [picture], model.scale, halo=halo, tile=TILE, multiple=model.tile_multiple):
        worst = max(worst, float((expected[:, *box.slices] - part).abs().max()))
    return f"{worst / max(1.0, float(expected.abs().max())):.1e}"


def in_levels(model: Any, picture: Any, halo: int, tile: int) -> str:
    """What tiles change, in levels of 8 bit, and how much of it is a jump where tiles meet: cut, and blended."""
    expected = whole(model, picture)
    unit = 255 / max(1.0, float(expected.abs().max()))
    how: dict[str, Any] = {"tile": tile, "multiple": model.tile_multiple}
    ways = (upscale_tiles(model, [picture], model.scale, halo=halo, **how),
            blend_tiles(model, [picture], model.scale, halo=lambda: halo, **how))  # fmt: skip
    rows, columns = ([last * model.scale for _, last, _, _ in spans(length, tile, halo, model.tile_multiple)[:-1]]
                     for length in picture.shape[1:])  # fmt: skip
    jumps = []
    for parts in ways:
        error = torch.empty_like(expected)
        for box, part in parts:
            error[:, *box.slices] = unit * (part - expected[:, *box.slices])
        steps = [error[:, at] - error[:, at - 1] for at in rows] + [
            error[..., at] - error[..., at - 1] for at in columns
        ]
        jumps.append(torch.cat([step.flatten() for step in steps]).square().mean().sqrt())
    inside = torch.cat([error.diff(dim=dim).flatten() for dim in (1, 2)]).square().mean().sqrt()
    share = 100 * (error.abs() > 1).float().mean()
    return (f"{error.abs().max():.1f} | {error.square().mean().sqrt():.2f} | {share:.1f} % | "
            f"{jumps[0]:.2f} | {jumps[1]:.2f} | {inside:.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml")))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--picture", default="comic", help="of Set14")
    parser.add_argument("--size", default="192x176", help="rows and columns of it")
    parser.add_argument("--tile", type=int, default=TILE)
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    file = Path(os.environ["SR_DATA"]) / "Set14" / f"{arguments.picture}.png"
    picture = read_picture(file)[:height, :width].transpose(2, 0, 1).copy()
    for name in arguments.names:
        try:
            model, weights = network(name, arguments.weights)
        except ConfigError:
            continue
        if model.inputs != ("lr",):
            continue
        halo, everywhere = field_of(model)
        pixels = picture[: 1 if model.luma else 3]
        if everywhere:
            print(f"| `{name}` | {weights} | {in_levels(model, pixels, halo, arguments.tile)} |", flush=True)
        else:
            print(f"| `{name}` | {weights} | {halo} pixels | {exactness(model, pixels, halo)} |", flush=True)


if __name__ == "__main__":
    main()
