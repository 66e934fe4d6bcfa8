"""The networks that come with the package: how each was trained, what it scores, its file and its card.

    SR_DATA=… python benchmarks/pretrained.py train     # one after another; goes on where it was stopped
    SR_DATA=… python benchmarks/pretrained.py publish   # scores them, writes src/sr_lightning/pretrained/

Names behind either, such as fsrcnn, leave the others out.

Runs go into runs/pretrained/<model>_x<scale>. Published are the weights of the last step, whatever they score on Set5.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from sr_lightning.config import build, compose
from sr_lightning.inference.loading import load_model
from sr_lightning.pretrained import card_file, write_weights
from sr_lightning.scoring import count_macs, count_parameters, markdown, score_sets

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs/pretrained")
PROTOCOLS = ("y_matlab", "y_rgb8")

BF16, FLOAT32 = "trainer.precision=bf16-mixed", "trainer.precision=32-true"
FSRCNN, ESPCN = [FLOAT32, "model.deconv_lr=1.0"], [FLOAT32, "model.last_layer_lr=1.0"]

#: What is added to `experiment=pretrained`; x3 and x4 begin with the body of x2.
RECIPES: dict[tuple[str, int], list[str]] = {
    ("edsr_small", 2): [BF16, "data.patch_size=64", "epochs=32", "optimizer.lr=1.5e-3"],
    ("edsr_small", 4): [BF16, "data.patch_size=76", "epochs=16", "optimizer.lr=1.5e-3"],
    ("edsr_small", 3): [BF16, "epochs=16", "optimizer.lr=1.5e-3"],
    ("espcn", 2): [*ESPCN, "epochs=24"],
    ("fsrcnn", 2): [*FSRCNN, "epochs=32"],
    ("espcn", 3): [*ESPCN, "epochs=16"],
    ("espcn", 4): [*ESPCN, "data.patch_size=76", "epochs=16"],
    ("fsrcnn", 3): [*FSRCNN, "epochs=20"],
    ("fsrcnn", 4): [*FSRCNN, "data.patch_size=76", "epochs=20"],
}

CARD = """---
license: apache-2.0
library_name: sr_lightning
pipeline_tag: image-to-image
tags: [super-resolution, {name}]
---
# {name} x{scale}

{parameters:,} parameters, {macs:.1f} G multiply-accumulates for 1280x720. Input and output: RGB in [0, 1]{luma}.

```python
import sr_lightning as sr

large = sr.load("{name}", scale={scale}).upscale("photo.png")
```

## Scores

PSNR in dB / SSIM, measured with these weights in float32; {bicubic}

{table}

## Training

```
{command}
```

Data: the 91 pictures and the central 128x128 pixels of DIV2K's 800 training pictures, as often the one as the other,
{updates:,} updates of 16 patches with all flips and turns, LR by MATLAB's bicubic resizing; L1, SOAP on a one-cycle
schedule, moving average of the weights (0.999). Seed {seed}; these are the weights of the last step. Torch {torch}, one
core of an AMD EPYC (AVX512-BF16) that shared the machine with other work. Set5 was looked at during training, Set14
and BSD100 were not.

The pictures of T91 and DIV2K are for academic use: Yang et al., TIP 2010; Agustsson and Timofte, CVPRW 2017.
"""


def folder(name: str, scale: int) -> Path:
    return RUNS / f"{name}_x{scale}"


def command(name: str, scale: int) -> list[str]:
    """What is typed to train a network."""
    start = [f"init_from={folder(name, 2)}/checkpoints/last.ckpt"] if scale != 2 else []
    argv = ["experiment=pretrained", f"model={name}", f"scale={scale}", *RECIPES[name, scale], *start]
    return ["python", "-m", "sr_lightning.train", *argv, f"run_dir={folder(name, scale)}"]


def train(*names: str) -> None:
    """Trains what has no results yet, of all networks or of these."""
    for name, scale in (key for key in RECIPES if not names or key[0] in names):
        if not (folder(name, scale) / "results.json").is_file():
            last = folder(name, scale) / "checkpoints/last.ckpt"
            resume = [f"ckpt_path={last}"] if last.is_file() else []
            subprocess.run([sys.executable, *command(name, scale)[1:], *resume], check=True, cwd=ROOT)


def publish(*names: str) -> None:
    """Scores the last checkpoint of each run, or of these networks' runs, and writes weights and card."""
    for name, scale in (key for key in RECIPES if not names or key[0] in names):
        last = folder(name, scale) / "checkpoints/last.ckpt"
        if not last.is_file():
            print(f"{last}: not trained yet")
            continue
        model = load_model(last)
        scores = {protocol: scored(load_model(last), protocol) for protocol in PROTOCOLS}
        write_weights(model, name, {"scores": scores["y_rgb8"], "protocol": "y_rgb8"})
        card = card_of(name, model, scores)
        card_file(name, scale).write_text(card)
        print(card.split("## Scores")[1].split("## Training")[0])


def scored(model: Any, protocol: str) -> dict[str, list[float]]:
    """Mean PSNR and SSIM of each set."""
    cfg = compose("evaluate", [f"protocol={protocol}", f"scale={model.scale}", f"data_dir={os.environ['SR_DATA']}"])
    model.protocol = build(cfg.protocol)
    data = build(cfg.data)
    data.setup("test")
    return {name: [values["psnr"], values["ssim"]] for name, values in score_sets(model, data).items()}


def card_of(name: str, model: Any, scores: dict[str, dict[str, list[float]]]) -> str:
    """The text beside a file of weights."""
    cfg = compose("train", command(name, model.scale)[3:-1])
    bicubic = {protocol: scored(build(compose("evaluate", [f"scale={model.scale}"]).model), protocol)
               for protocol in PROTOCOLS}  # fmt: skip
    rows = [
        {"protocol": f"`{protocol}`", "network": network, **{s: f"{p:.4f} / {q:.4f}" for s, (p, q) in sets.items()}}
        for protocol in PROTOCOLS
        for network, sets in (("bicubic", bicubic[protocol]), (name, scores[protocol]))
    ]
    return CARD.format(
        name=name,
        scale=model.scale,
        parameters=count_parameters(model),
        macs=count_macs(model) / 1e9,
        luma="; the network itself sees luma, colours are enlarged bicubically" if model.luma else "",
        bicubic="bicubic enlargement by the same protocol stands beside them.",
        table=markdown(rows),
        command=shlex.join(command(name, model.scale)),
        updates=cfg.epochs * cfg.data.batches_per_epoch,
        seed=cfg.seed,
        torch=torch.__version__.partition("+")[0],
    )


if __name__ == "__main__":
    actions = {"train": train, "publish": publish}
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        sys.exit(f"say one of {json.dumps([*actions])}")
    actions[sys.argv[1]](*sys.argv[2:])
