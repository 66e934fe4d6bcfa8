"""The pictures of docs/upscale.md: photographs that no network here was trained on, enlarged by each that comes along.

python benchmarks/upscale_pictures.py
"""

from pathlib import Path

import torch

import sr_lightning as sr
from sr_lightning.config import build, compose
from sr_lightning.evaluation.crops import comparison
from sr_lightning.functional import imresize, modcrop, psnr, rgb_to_y, shave
from sr_lightning.weights.shipped import pretrained_networks

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"


def main() -> None:
    data = build(compose("evaluate", ["data=samples"]).data)
    data.setup("test")
    pictures = {str(item["name"]): item["hr"] for item in data.val_sets["samples"]}
    for name, scale in (("astronaut", 2), ("chelsea", 3), ("astronaut", 4)):
        hr = modcrop(pictures[name][None].double() / 255, scale)
        lr = (imresize(hr, 1 / scale).clamp(0, 1) * 255).round() / 255
        panels = [(f"{name}, x{scale}", lr), ("bicubic", imresize(lr, scale).clamp(0, 1))]
        panels += [
            (network, sr.load(network, scale=scale).upscale(lr))
            for network, scales in pretrained_networks().items()
            if scale in scales
        ]

        def score(picture: torch.Tensor, hr: torch.Tensor = hr, scale: int = scale) -> str:
            return f"{psnr(*(shave(rgb_to_y(p), scale) for p in (picture.double(), hr))).item():.2f} dB"

        captions = [panels[0], *((f"{text}\n{score(picture)}", picture) for text, picture in panels[1:])]
        error = (panels[1][1] - hr).abs()
        path = IMAGES / f"upscale_{name}_x{scale}.png"
        comparison([*captions, ("truth", hr)], error).save(path, optimize=True)
        print(path, [text for text, _ in captions])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
