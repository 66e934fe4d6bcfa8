"""The networks that come with the package: how each was trained, what it scores, its file and its card.

    SR_DATA=… python benchmarks/pretrained.py train     # all nine, one after another; goes on where it was stopped
    SR_DATA=… python benchmarks/pretrained.py publish   # scores them, writes src/sr_lightning/pretrained/

Runs go into runs/pretrained/<model>_x<scale>. Published are the weights of the last step, whatever they score on Set5.
"""

import json
import os
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

#: In the order of training: x3 and x4 begin with the weights of x2.
OVERRIDES: dict[tuple[str, int], list[str]] = {
    ("edsr_small", 2): ["trainer.precision=bf16-mixed"],
    **{
        ("edsr_small", scale): [
            "trainer.precision=bf16-mixed",
            f"data.patch_size={24 * scale}",
            "epochs=11",
            "optimizer.lr=7e-4",
            "scheduler.pct_start=0.1",
        ]
        for scale in (4, 3)
    },
    **{
        (name, scale): [
            "trainer.precision=32-true",
            f"model.{layer}=1.0",
            f"data.patch_size={24 * scale}",
            "data.batches_per_epoch=2000",
            f"optimizer.lr={lr}",
            f"epochs={first if scale == 2 else later}",
        ]
        for name, layer, lr, first, later in (
            ("fsrcnn", "deconv_lr", "3e-3", 30, 8),
            ("espcn", "last_layer_lr", "2e-3", 25, 8),
        )
        for scale in (2, 4, 3)
    },
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

Data: BSD200 (the 200 training pictures of BSDS300) and the central 128x128 pixels of DIV2K's 800 training pictures,
{updates:,} updates of {batch} patches of {patch}x{patch} HR pixels with all flips and turns, LR by MATLAB's bicubic
resizing; loss L1, Adam, learning rate {lr:g} at its highest on a one-cycle schedule, moving average of the weights
(0.999). Seed {seed}; these are the weights of the last step. Torch {torch}, one core of an AMD EPYC (AVX512-BF16) that
shared the machine with other work. Set5 was looked at during training, Set14 and BSD100 were not.

The pictures of BSDS and DIV2K are for academic use: Martin et al., ICCV 2001; Agustsson and Timofte, CVPRW 2017.
"""


def command(name: str, scale: int) -> list[str]:
    """What is typed to train a network."""
    start = [f"init_from={RUNS}/{name}_x2/checkpoints/last.ckpt"] if scale != 2 else []
    argv = ["experiment=pretrained", f"model={name}", f"scale={scale}", *OVERRIDES[name, scale], *start]
    return ["python", "-m", "sr_lightning.train", *argv, f"run_dir={RUNS}/{name}_x{scale}"]


def train() -> None:
    """Trains what has no results yet."""
    for name, scale in OVERRIDES:
        folder = RUNS / f"{name}_x{scale}"
        if not (folder / "results.json").is_file():
            last = folder / "checkpoints/last.ckpt"
            resume = [f"ckpt_path={last}"] if last.is_file() else []
            subprocess.run([sys.executable, *command(name, scale)[1:], *resume], check=True, cwd=ROOT)


def publish() -> None:
    """Scores the last checkpoint of each run, and writes weights and card."""
    for name, scale in OVERRIDES:
        last = RUNS / f"{name}_x{scale}/checkpoints/last.ckpt"
        if not last.is_file():
            print(f"{last}: not trained yet")
            continue
        scores = {protocol: scored(load_model(last), protocol) for protocol in PROTOCOLS}
        model = load_model(last)
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
        command=" ".join(command(name, model.scale)),
        updates=cfg.epochs * cfg.data.batches_per_epoch,
        batch=cfg.data.batch_size,
        patch=cfg.data.patch_size,
        lr=float(cfg.optimizer.lr),
        seed=cfg.seed,
        torch=torch.__version__.partition("+")[0],
    )


if __name__ == "__main__":
    actions = {"train": train, "publish": publish}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"say one of {json.dumps([*actions])}")
    actions[sys.argv[1]]()
