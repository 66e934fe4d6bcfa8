"""How much of a noisy picture a network turns black or white: as much as bicubic does, or what nobody saw there.

    python benchmarks/noise.py span
    python benchmarks/noise.py span fsrcnn --checkpoint runs/mine/checkpoints/best.ckpt

The pictures are details of 240x240 pixels of scikit-image's astronaut, chelsea and coffee with Gaussian noise of sigma
levels, seeds 0 to 2; counted are the samples of the result outside [0, 1], before they are clipped, in percent.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import skimage.data
import torch
from torch import Tensor

from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import load_pretrained, pretrained_networks

SIGMAS = (0, 10, 25, 35, 50)
SIDE = 240


def noisy(sigma: float) -> Iterator[Tensor]:
    """The three details, of 8 bit, ``(1, 3, 240, 240)`` in [0, 1]."""
    for seed, name in enumerate(("astronaut", "chelsea", "coffee")):
        pixels = torch.from_numpy(getattr(skimage.data, name)()[:SIDE, :SIDE].copy()).permute(2, 0, 1)[None]
        noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed))
        yield (pixels + sigma * noise).round().clamp(0, 255) / 255


@torch.inference_mode()
def outside(model: SuperResolutionModule | None, scale: int, sigma: float) -> float:
    """The share of samples outside [0, 1], in percent, of a network or, without one, of bicubic."""
    results = [model(lr) if model else imresize(lr, scale) for lr in noisy(sigma)]
    return 100 * sum(float(((sr < 0) | (sr > 1)).float().mean()) for sr in results) / len(results)


def main() -> None:
    """Prints the table; in brackets what bicubic has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of networks that come with the package")
    parser.add_argument("--checkpoint", nargs="*", type=Path, default=[], help="files of others")
    arguments = parser.parse_args()
    models: dict[str, SuperResolutionModule] = {str(path): load_model(path) for path in arguments.checkpoint}
    for name in arguments.names:
        models |= {f"{name} x{scale}": load_pretrained(name, scale) for scale in pretrained_networks()[name]}
    rows = []
    for name, model in models.items():
        shares = [(outside(model.eval(), model.scale, s), outside(None, model.scale, s)) for s in SIGMAS]
        cells = {f"sigma = {s}": f"{a:.1f} ({b:.1f})" for s, (a, b) in zip(SIGMAS, shares, strict=True)}
        rows.append({"network": name, **cells})
    print(markdown(rows))


if __name__ == "__main__":
    main()
