"""How far each network looks, and what tiles change: the table of docs/tiles.md.

SR_DATA=FOLDER python benchmarks/tiles.py [NETWORK ...]

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
from sr_lightning.inference import receptive_radius, upscale_tiles
from sr_lightning.inference.tiles.receptive_field import GLOBAL_HALO
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
def difference(model: Any, picture: Any, halo: int) -> float:
    """Largest difference between the result in tiles and the whole one, which random weights may take beyond [0, 1]."""
    whole = model(torch.from_numpy(picture)[None].float() / 255)[0]
    scale, worst = model.scale, 0.0
    for box, part in upscale_tiles(model, [picture], scale, halo=halo, tile=TILE):
        worst = max(worst, float((whole[:, box.top : box.bottom, box.left : box.right] - part).abs().max()))
    return worst / max(1.0, float(whole.abs().max()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml")))
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    picture = read_picture(Path(os.environ["SR_DATA"]) / "Set14" / "comic.png")[:192, :176].transpose(2, 0, 1).copy()
    print("| network | weights | looks at | largest difference |\n|---|---|---|---|")
    for name in arguments.names:
        try:
            model, weights = network(name, arguments.weights)
        except ConfigError:
            continue
        if model.inputs != ("lr",):
            continue
        channels = 1 if model.luma else 3
        radius = receptive_radius(model.net, (channels,), model.scale)
        worst = difference(model, picture[:channels], GLOBAL_HALO if radius is None else radius)
        sees = "everything" if radius is None else f"{radius} pixels"
        print(f"| `{name}` | {weights} | {sees} | {worst:.1e} |", flush=True)


if __name__ == "__main__":
    main()
