"""The networks for photographs that come with the package: commands, scores, file and card.

    SR_DATA=… python benchmarks/photo.py train      # x4, then x2; goes on where it was stopped
    SR_DATA=… python benchmarks/photo.py publish    # scores them, writes src/sr_lightning/weights/shipped/photo_*

Weights are stored in half precision, which loses less than 0.001 dB, and computed with in float32.
"""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from scores import scored

from sr_lightning.config import build, compose
from sr_lightning.evaluation.scoring import count_macs, count_parameters, markdown
from sr_lightning.models import WDSR
from sr_lightning.weights.checkpoints import read_checkpoint
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import card_file, load_pretrained, write_weights

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs/photo")
COMMANDS = {
    4: ["experiment=photo", "scale=4", "epochs=18", f"run_dir={RUNS}_x4"],
    2: ["experiment=photo", "scale=2", "epochs=11", "data.patch_size=72", f"init_from={RUNS}_x4/checkpoints/best.ckpt",
        f"run_dir={RUNS}_x2"],
}  # fmt: skip
SETS = ("set5", "set14", "bsd100", "mcmaster18")
PROTOCOLS = ("y_rgb8", "real_mild", "real_medium", "real_strong")

CARD = """---
license: apache-2.0
library_name: sr_lightning
pipeline_tag: image-to-image
tags: [super-resolution, denoising, photo]
---
# photo x{scale}

For photographs that are noisy, blurred or strongly compressed: it removes what is not of the scene, and invents
nothing. Clean pictures are for `span`. `model=auto`, the default of `sr-upscale`, chooses between the two.

WDSR-A of 8 blocks at half the size of the input: {parameters:,} parameters, {macs:.1f} G multiply-accumulates for
1280x720. Input and output: RGB in [0, 1].

```python
import sr_lightning as sr

large = sr.load("photo", scale={scale}).upscale("photo.jpg")
```

## Scores

PSNR in dB / SSIM, measured with these weights in float32 beside bicubic enlargement and `span`. `y_rgb8` is of clean
pictures; the others are damaged by seeds that no training used (docs/protocols.md).

{table}

## Training

```
{commands}
```

Data: the central 128x128 pixels of DIV2K's 800 training pictures (twice as often), the 200 training pictures of
BSDS300, the 200 test pictures of BSDS500 (none of them in BSD100), with all flips and turns and in smaller sizes; LR
made on the fly by `degradation=photo`. L1, SOAP on a one-cycle schedule, moving average of the weights (0.999). Seed 1;
these are the weights after {step:,} updates{after}. Epochs were chosen on Set5, damaged by `degradation=photo`; nothing
was chosen by Set14, BSD100 or McMaster. Torch {torch}, one processor core (AVX2) of a machine that other work shared,
{hours} hours.

The pictures of BSDS and DIV2K are for academic use: Martin et al., ICCV 2001; Agustsson and Timofte, CVPRW 2017.
"""
HOURS = {4: "1.0", 2: "0.5"}


def train() -> None:
    """Trains what has no results yet."""
    for scale, argv in COMMANDS.items():
        run = Path(f"{RUNS}_x{scale}")
        if not (run / "results.json").is_file():
            last = run / "checkpoints/last.ckpt"
            resume = [f"ckpt_path={last}"] if last.is_file() else []
            subprocess.run([sys.executable, "-m", "sr_lightning.train", *argv, *resume], check=True, cwd=ROOT)


def publish() -> None:
    """Writes weights and card of each run that is there."""
    for scale in COMMANDS:
        best = Path(f"{RUNS}_x{scale}") / "checkpoints/best.ckpt"
        if not best.is_file():
            print(f"{best}: not trained yet")
            continue
        write_weights(without_weight_norm(load_model(best)).half(), "photo", {"protocol": "y_rgb8"})
        card = card_of(scale, read_checkpoint(best)["global_step"])
        card_file("photo", scale).write_text(card)
        print(card.split("## Scores")[1].split("## Training")[0])


def without_weight_norm(model: Any) -> WDSR:
    """The same network with plain weights, for which nothing is computed before each picture."""
    plain = WDSR(**{**model.hparams, "norm": "none"})
    layers = dict(model.net.named_modules())
    state = {name: getattr(layers[name.rpartition(".")[0]], name.rpartition(".")[2]) for name in plain.net.state_dict()}
    plain.net.load_state_dict(state)
    return plain


def card_of(scale: int, step: int) -> str:
    """The text beside a file of weights."""
    models = {"bicubic": build(compose("evaluate", [f"scale={scale}"]).model)}
    models |= {name: load_pretrained(name, scale) for name in ("span", "photo")}
    rows = [
        {"protocol": f"`{protocol}`", "network": name, **cells(model, protocol)}
        for protocol in PROTOCOLS
        for name, model in models.items()
    ]
    return CARD.format(
        scale=scale,
        parameters=count_parameters(models["photo"]),
        macs=count_macs(models["photo"]) / 1e9,
        table=markdown(rows),
        commands=shlex.join(["python", "-m", "sr_lightning.train", *COMMANDS[scale]]),
        step=step,
        after=", after those of x4" if scale == 2 else "",
        torch=torch.__version__.partition("+")[0],
        hours=HOURS[scale],
    )


def cells(model: Any, protocol: str) -> dict[str, str]:
    """Mean PSNR and SSIM of each set, as a row of the card has them."""
    found = {name: f"{psnr:.2f} / {ssim:.3f}" for name, (psnr, ssim) in scored(model, protocol).items()}
    return {name: found.get(name, "") for name in SETS}


if __name__ == "__main__":
    actions = {"train": train, "publish": publish}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit("say train or publish")
    actions[sys.argv[1]]()
