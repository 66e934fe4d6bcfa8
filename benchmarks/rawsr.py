"""The small rawSR that comes with the package: pictures, commands, scores, file and card.

    SR_DATA=… python benchmarks/rawsr.py scenes     # what is photographed while training, in runs/rawsr/scenes
    SR_DATA=… python benchmarks/rawsr.py train      # x2, then x4, then both on soft pictures; goes on where it stopped
    SR_DATA=… python benchmarks/rawsr.py score CHECKPOINT
    SR_DATA=… python benchmarks/rawsr.py publish    # scores them, writes src/sr_lightning/weights/shipped/rawsr_tiny_*

Weights are stored in half precision, which loses less than 0.001 dB, and computed with in float32.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture, write_picture
from sr_lightning.evaluation.scoring import count_macs, count_parameters, markdown, score_sets
from sr_lightning.functional import imresize, to_levels
from sr_lightning.weights.checkpoints import read_checkpoint
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import card_file, load_pretrained, write_weights

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs/rawsr")
#: Folders of pictures, and how many times smaller they are made: BSD's are JPEGs.
SCENES = {"DIV2K_center128": 1, "BSD200": 2, "BSDS500_test": 2}
COMMANDS = {
    2: ["experiment=rawsr_tiny", "scale=2", "trainer=cpu", f"run_dir={RUNS}/x2"],
    4: ["experiment=rawsr_tiny", "scale=4", "trainer=cpu", "data.patch_size=128", "epochs=24",
        f"init_from={RUNS}/x2/checkpoints/best.ckpt",
        f"run_dir={RUNS}/x4"],
}  # fmt: skip
#: What follows: soft pictures too, so that not all that is soft is taken for out of focus.
SOFT = [f"data.hr_dir={RUNS}/soft_scenes", "optimizer.lr=1e-3"]
SECOND_COMMANDS = {
    2: [*COMMANDS[2][:3], *SOFT, "epochs=16", f"init_from={RUNS}/x2/checkpoints/best.ckpt", f"run_dir={RUNS}/soft_x2"],
    4: [*COMMANDS[4][:4], *SOFT, "epochs=10", f"init_from={RUNS}/x4/checkpoints/best.ckpt", f"run_dir={RUNS}/soft_x4"],
}
#: Cameras that photograph McMaster18; what is not named is as in the paper.
CAMERAS = {
    "as in the paper": [],
    "sharp, little noise": ["data.camera.defocus=[0,1.5]", "data.camera.motion=[1,3]"],
    "sharp, strong noise": [
        "data.camera.defocus=[0,1.5]", "data.camera.motion=[1,3]", "data.camera.sigma_shot=[0.01,0.03]",
        "data.camera.sigma_read=[0.001,0.003]",
    ],
    "2 EV too dark": ["data.camera.defocus=[0,1.5]", "data.camera.motion=[1,3]", "data.camera.exposure=-2"],
}  # fmt: skip

CARD = """---
license: apache-2.0
library_name: sr_lightning
pipeline_tag: image-to-image
tags: [super-resolution, raw, demosaicing]
---
# rawsr_tiny x{scale}

For camera RAW files with a Bayer mosaic: it demosaics, removes noise and enlarges in one step. The colours are those
of the camera's picture, which it reads too. `sr-upscale photo.NEF` uses it by default.

rawSR with a sixteenth of its parameters: {parameters:,}; {macs:.1f} G multiply-accumulates for 1280x720.

```sh
sr-upscale photo.NEF model=rawsr_tiny scale={scale}
```

## Scores

PSNR in dB / SSIM by protocol `rawsr`, on McMaster's 18 pictures, each photographed once by `data=raw_synthesis`
without JPEG. "Demosaicing" is Malvar's, which the training has too; Menon's scores lower here (docs/results.md).

{table}

## Training

```
{commands}
```

Data: the central 128x128 pixels of DIV2K's 800 training pictures, the 200 training pictures of BSDS300 and the 200
test pictures of BSDS500 at half their size, photographed anew for each patch (`conf/experiment/rawsr_tiny.yaml`); in
the second run also soft pictures: every third one blurred, and waves and clouds (`benchmarks/rawsr.py scenes`). L1,
SOAP on a one-cycle schedule, moving average of the weights (0.999). Seed 1; these are the weights after {step:,}
updates of the second run, all of it, {before}. Epochs of the first were
chosen on photographs of Set14; nothing was chosen by McMaster. Torch {torch}, one core of a machine that other work
shared, {hours} hours.

The pictures of BSDS and DIV2K are for academic use: Martin et al., ICCV 2001; Agustsson and Timofte, CVPRW 2017.
"""
HOURS = {2: "0.9", 4: "0.6"}


def scenes() -> None:
    """Puts the pictures together that are photographed."""
    for name, shrink in SCENES.items():
        for path in find_pictures(Path(os.environ["SR_DATA"]) / name):
            target = RUNS / "scenes" / f"{name}_{path.stem}.png"
            if not target.is_file():
                picture = torch.from_numpy(read_picture(path)).movedim(-1, 0) / 255
                small = imresize(picture[None], 1 / shrink)[0] if shrink > 1 else picture
                write_picture(target, to_levels(small).movedim(0, -1).numpy())
    soft_scenes()


def soft_scenes() -> None:
    """The same pictures again, of which every third stands there blurred, too; and waves and clouds without an edge."""
    generator = np.random.default_rng(0)
    folder = RUNS / "soft_scenes"
    for number, path in enumerate(find_pictures(RUNS / "scenes")):
        picture, sigma = read_picture(path), generator.uniform(1, 6)
        write_picture(folder / path.name, picture)
        if number % 3 == 0:
            write_picture(folder / f"soft_{path.name}", cv2.GaussianBlur(picture, (0, 0), sigma))
    rows, columns = np.mgrid[:160, :160]
    for number in range(150):
        colour, sigma = generator.uniform(0, 1, (2, 3)), generator.uniform(2, 12)
        angle, length = generator.uniform(0, np.pi), generator.uniform(8, 60)
        waves = np.sin(2 * np.pi / length * (np.cos(angle) * rows + np.sin(angle) * columns)) / 2 + 0.5
        clouds = cv2.GaussianBlur(generator.normal(0, 1, (160, 160)), (0, 0), sigma)
        plane = waves if number % 2 else (clouds - clouds.min()) / np.ptp(clouds)
        mixed = colour[0] + plane[..., None] * (colour[1] - colour[0])
        write_picture(folder / f"plain_{number:03d}.png", (mixed * 255).round().astype(np.uint8))


def train() -> None:
    """Trains what has no results yet."""
    for argv in (*COMMANDS.values(), *SECOND_COMMANDS.values()):
        run = Path(argv[-1].removeprefix("run_dir="))
        if not (run / "results.json").is_file():
            last = run / "checkpoints/last.ckpt"
            resume = [f"ckpt_path={last}"] if last.is_file() else []
            folder = f"data_dir={os.environ['SR_DATA']}"
            subprocess.run([sys.executable, "-m", "sr_lightning.train", *argv, folder, *resume], check=True, cwd=ROOT)


def publish() -> None:
    """Writes weights and card of each run that is there."""
    for scale in COMMANDS:
        best = RUNS / f"soft_x{scale}" / "checkpoints/last.ckpt"  # the best on Set14 has seen few soft pictures
        if not best.is_file():
            print(f"{best}: not trained yet")
            continue
        write_weights(load_model(best).half(), "rawsr_tiny", {"protocol": "rawsr"})
        card = card_of(scale, read_checkpoint(best)["global_step"])
        card_file("rawsr_tiny", scale).write_text(card)
        print(card.split("## Scores")[1].split("## Training")[0])


def card_of(scale: int, step: int) -> str:
    """The text beside a file of weights."""
    model = load_pretrained("rawsr_tiny", scale)
    return CARD.format(
        scale=scale,
        parameters=count_parameters(model),
        macs=count_macs(model) / 1e9,
        table=table_of(model),
        commands="\n".join(
            shlex.join(["python", "-m", "sr_lightning.train", *run[scale]]) for run in (COMMANDS, SECOND_COMMANDS)
        ),
        step=step,
        before="after 20,000 of the first" if scale == 2 else "after 12,000 of the first, and those of x2",
        torch=torch.__version__.partition("+")[0],
        hours=HOURS[scale],
    )


def table_of(model: Any) -> str:
    """Scores of a network beside what a user has without it."""
    models = {
        "demosaicing and bicubic": build(compose("evaluate", [f"scale={model.scale}"]).model),
        "demosaicing and `span`": load_pretrained("span", model.scale),
        "demosaicing and `photo`": load_pretrained("photo", model.scale),
        "`rawsr_tiny`": model,
    }
    rows = [{"network": name, **{camera: scored(each, camera) for camera in CAMERAS}} for name, each in models.items()]
    return markdown(rows)


def scored(model: Any, camera: str) -> str:
    """Mean PSNR and SSIM on photographs of McMaster18."""
    folder = os.environ["SR_DATA"]
    pictures = [f"data.hr_dir={folder}/McMaster18", f"data.val_hr_dir={folder}/McMaster18", "data.camera.quality=null"]
    cfg = compose(
        "evaluate", ["data=raw_synthesis", "protocol=rawsr", f"scale={model.scale}", *pictures, *CAMERAS[camera]]
    )
    model.protocol = build(cfg.protocol)
    data = build(cfg.data)
    data.setup("test")
    (values,) = score_sets(model, data).values()
    return f"{values['psnr']:.2f} / {values['ssim']:.3f}"


def score() -> None:
    """Prints the scores of a checkpoint."""
    print(table_of(load_model(Path(sys.argv[2]))))


if __name__ == "__main__":
    actions = {"scenes": scenes, "train": train, "score": score, "publish": publish}
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        sys.exit("say scenes, train, score CHECKPOINT or publish")
    actions[sys.argv[1]]()
