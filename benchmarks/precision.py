"""What half precision loses on Set5, for the networks that come with the package and any published weights.

    python benchmarks/precision.py DATA_DIR imdn=IMDN_x2.pth pan=PAN_x2.pth

writes precision.md beside this file.
"""

import sys
from pathlib import Path

import torch

from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture, to_uint8
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.inference.engines.agreement import photographs
from sr_lightning.inference.engines.half_precision import NEGLIGIBLE, psnr_between, with_float32_ends
from sr_lightning.metrics import Protocol
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.load import load_weights
from sr_lightning.weights.shipped import load_pretrained, pretrained_networks

PROTOCOL = Protocol("y_rgb8", metrics=("psnr",))


class InHalf(torch.nn.Module):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(*inputs)


@torch.inference_mode()
def psnr(net: torch.nn.Module, model: SuperResolutionModule, files: list[Path]) -> float:
    values = []
    for path in files:
        lr, hr = PROTOCOL.prepare(torch.tensor(to_uint8(read_picture(path))).permute(2, 0, 1)[None], None, model.scale,
                                  model.luma)  # fmt: skip
        values.append(float(PROTOCOL.score(net(lr.float()).double(), hr, model.scale)["psnr"]))
    return sum(values) / len(values)


def main(data: Path, published: list[str]) -> None:
    networks = {
        f"{name} x{scale}": load_pretrained(name, scale).eval()
        for name, scales in pretrained_networks().items()
        for scale in scales
    }
    for entry in published:
        name, _, file = entry.partition("=")
        networks[f"{name} ({Path(file).name})"] = model = build(compose("train", [f"model={name}", "scale=2"]).model)
        load_weights(model.eval(), file)
    files, rows = find_pictures(data / "Set5"), []
    for name, model in networks.items():
        plain, ends = InHalf(model.net), InHalf(with_float32_ends(model.net, photographs(model)))
        apart = psnr_between(model, ends, photographs(model))
        full = psnr(model, model, files)
        rows.append({
            "network": name, "float32": f"{full:.4f}",
            "bf16 throughout loses": f"{full - psnr(plain, model, files):.4f}",
            "exact ends lose": f"{full - psnr(ends, model, files):.4f}", "photograph": f"{apart:.1f} dB",
            "auto": "bf16" if apart >= NEGLIGIBLE else "float32",
        })  # fmt: skip
        print(rows[-1], flush=True)
    title = f"# Half precision on Set5, protocol {PROTOCOL.name}"
    text = f"{title}\n\n{markdown(rows)}\n\n`python benchmarks/precision.py`\n"
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
