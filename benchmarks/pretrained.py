"""The networks that come with the package: how each was trained, what it scores, its file and its card.

    SR_DATA=… python benchmarks/pretrained.py noise     # makes the pictures with noise that the last stages learn from
    SR_DATA=… python benchmarks/pretrained.py smaller   # makes BSD's pictures in smaller sizes
    SR_DATA=… python benchmarks/pretrained.py taught    # makes pairs that a large network is the teacher of
    SR_DATA=… python benchmarks/pretrained.py train     # one after another; goes on where it was stopped
    SR_DATA=… python benchmarks/pretrained.py publish   # scores them, writes src/sr_lightning/weights/shipped/

Names behind either, such as fsrcnn, leave the others out.

Runs go into runs/pretrained/<model>_x<scale>_<stage>. Published are the weights of the epoch that is best on Set5.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from scores import DATA, act, scored

from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture, write_picture
from sr_lightning.evaluation.crops import to_pixels
from sr_lightning.evaluation.scoring import count_macs, count_parameters, markdown
from sr_lightning.functional import imresize, modcrop
from sr_lightning.inference.finding import find_network
from sr_lightning.weights.checkpoints import read_checkpoint
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import card_file, write_weights

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs/pretrained")
HELD_OUT = 20  # of the 200 pictures of BSDS500_test, for the choice of the epoch
PROTOCOLS = ("y_matlab", "y_rgb8")

BF16, FLOAT32 = "trainer.precision=bf16-mixed", "trainer.precision=32-true"
FSRCNN, ESPCN = [FLOAT32, "model.deconv_lr=1.0"], [FLOAT32, "model.last_layer_lr=1.0"]

BSD200 = ["data.weights.bsd200=1", "data.augment=lapsrn"]
ALL = ["data.augment=lapsrn", "data.weights.div2k=2", "data.weights.bsd200=1", "data.weights.bsds=1"]
LAST = ["data.weights.t91=2", "data.batch_size=32", "optimizer.lr=2e-3"]


def noise(scale: int, weight: float = 1) -> list[str]:
    """A set whose noise is to be enlarged as bicubic does it: without, networks exaggerate what no picture had."""
    return [FLOAT32, "data.weights.div2k=2", "+data@data.sets.noise=folder", "data.sets.noise.num_val=1",
            f"data.sets.noise.hr_dir={noisy_folder(scale)}/hr", f"data.sets.noise.lr_dir={noisy_folder(scale)}/lr",
            f"+data.weights.noise={weight}", "optimizer.lr=1e-3", "epochs=1",
            "data.batches_per_epoch=2000"]  # fmt: skip


def noisy_folder(scale: int) -> Path:
    """Where the pictures with noise are."""
    return RUNS / f"noise_x{scale}"


#: What is added to `experiment=pretrained` in each stage, which begins with the weights of the one before; the first of
#: x3 and x4 with the first of x2, or of the scale in STARTS.
STAGES: dict[tuple[str, int], list[list[str]]] = {
    ("span", 2): [
        [BF16, *ALL, "data.patch_size=64", "epochs=4", "callbacks=[default]"],
        [BF16, *ALL, "data.patch_size=64", "epochs=24"],
        [*noise(2, 0.4), "data.patch_size=64"],
    ],
    ("span", 4): [
        [BF16, *ALL, "~data.sets.t91", "~data.weights.t91", "data.patch_size=96", "epochs=24"],
        [*noise(4), "~data.sets.t91", "~data.weights.t91", "data.patch_size=96"],
    ],
    ("span", 3): [
        [BF16, *ALL, "data.patch_size=72", "epochs=14"],
        [*noise(3), "data.patch_size=72"],
    ],
    ("espcn", 2): [
        [*ESPCN, "epochs=24"],
        [*ESPCN, *BSD200, "data.batches_per_epoch=500", "epochs=12"],
        [*ESPCN, *ALL, "loss=l2", "epochs=20"],
        [*ESPCN, *ALL, "loss=l2", *LAST, "epochs=16"],
    ],
    ("fsrcnn", 2): [[*FSRCNN, "epochs=32"]],
    ("espcn", 3): [[*ESPCN, "epochs=16"], [*ESPCN, *ALL, "loss=l2", *LAST, "epochs=12"]],
    ("espcn", 4): [
        [*ESPCN, "data.patch_size=76", "epochs=16"],
        [*ESPCN, *ALL, "loss=l2", "data.patch_size=76", "epochs=20"],
        [*ESPCN, *ALL, "loss=l2", *LAST, "data.patch_size=76", "epochs=12"],
    ],
    ("fsrcnn", 3): [[*FSRCNN, "epochs=20"]],
    ("fsrcnn", 4): [[*FSRCNN, "data.patch_size=76", "epochs=20"]],
}

STARTS = {("span", 3): 4}

#: Published are means of the last two stages' weights, the last one's with this share: it keeps what both have learnt.
#: Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022. For x2 and x3 it was worse than either end.
LAST_SHARE = {("span", 4): 0.5}

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
{commands}
```

Data: {data}, each as often as `data.weights` says, where nothing is said DIV2K as often as T91{sizes}.
{updates:,} updates{after} of {patches} patches with all flips and turns, LR by MATLAB's bicubic resizing; {loss},
SOAP on a one-cycle schedule, moving average of the weights (0.999). Seed {seed}; these are the weights after {step:,}
updates of the last run{mean}. Epochs were chosen on Set5, here and where a run begins with another's
best; Set14 and BSD100 were not looked at.
Torch {torch}, one processor core (AVX512-BF16) of machines that other work shared.

The pictures of T91, BSDS and DIV2K are for academic use: Yang et al., TIP 2010; Martin et al., ICCV 2001; Agustsson and
Timofte, CVPRW 2017.
"""

SETS = {
    "t91": "the 91 pictures",
    "div2k": "the central 128x128 pixels of DIV2K's 800 training pictures",
    "bsd200": "the 200 training pictures of BSDS300",
    "bsds": "the 200 test pictures of BSDS500, none of them in BSD100",
    "noise": "pairs of DIV2K's centres whose noise, up to 70 levels in LR, bicubic enlarged for HR",
}
#: Folders and sizes of the pictures that the teacher enlarges.
TAUGHT = {"T91": (1,), "DIV2K_center128": (1, 0.7)}


def folder(name: str, scale: int, stage: int = -1) -> Path:
    """The run folder of a stage; by default the last."""
    return RUNS / f"{name}_x{scale}_{stage % len(STAGES[name, scale]) + 1}"


def command(name: str, scale: int, stage: int) -> list[str]:
    """What is typed to train a network."""
    other = folder(name, STARTS.get((name, scale), 2), 0) if scale != 2 else None
    before = folder(name, scale, stage - 1) if stage else other
    start = [f"init_from={before}/checkpoints/best.ckpt"] if before else []
    argv = ["experiment=pretrained", f"model={name}", f"scale={scale}", *STAGES[name, scale][stage], *start]
    return ["python", "-m", "sr_lightning.train", *argv, f"run_dir={folder(name, scale, stage)}"]


def train(*names: str) -> None:
    """Trains what has no results yet, of all networks or of these."""
    for name, scale in (key for key in STAGES if not names or key[0] in names):
        for stage in range(len(STAGES[name, scale])):
            run = folder(name, scale, stage)
            if not (run / "results.json").is_file():
                last = run / "checkpoints/last.ckpt"
                resume = [f"ckpt_path={last}"] if last.is_file() else []
                subprocess.run([sys.executable, *command(name, scale, stage)[1:], *resume], check=True, cwd=ROOT)


def as_tensor(pixels: Any) -> torch.Tensor:
    """Pixels ``(H, W, 3)`` of 8 bits as ``(1, 3, H, W)`` in [0, 1]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None] / 255


def make_whole(folder: Path, make: Callable[[Path], None]) -> None:
    """Makes a folder under another name first: one that is there is whole, and stays."""
    part = folder.with_name(f"{folder.name}.part")
    if not folder.is_dir():
        make(part)
        part.rename(folder)


def make_noise() -> None:
    """Pairs of DIV2K's centres: LR with noise of up to 70 levels, HR with that noise enlarged bicubically.

    In every eighth pair the noise is of up to 255 levels, so that next to nothing of the picture is left.
    """
    for scale in (2, 3, 4):
        make_whole(noisy_folder(scale), partial(_write_noise, scale))


def _write_noise(scale: int, folder: Path) -> None:
    for number, path in enumerate(find_pictures(Path(DATA) / "DIV2K_center128")):
        generator = torch.Generator().manual_seed(number)
        pixels = as_tensor(read_picture(path))
        hr = modcrop(pixels, scale)
        lr = imresize(hr, 1 / scale)
        sigma = (70 if number % 8 else 255) / 255 * torch.rand(1, generator=generator)
        noisy = (lr + sigma * torch.randn(lr.shape, generator=generator)).clamp(0, 1)
        write_picture(folder / "hr" / path.name, to_pixels(hr + imresize(noisy - lr, scale)))
        write_picture(folder / "lr" / path.name, to_pixels(noisy))


def make_smaller() -> None:
    """BSD at three smaller sizes, where JPEG does not show; without the pictures that validate."""
    make_whole(RUNS / "smaller", _write_smaller)


def _write_smaller(folder: Path) -> None:
    for name in ("BSD200", "BSDS500_test"):
        paths = find_pictures(Path(DATA) / name)
        for path in paths[: -HELD_OUT if name == "BSDS500_test" else None]:
            pixels = as_tensor(read_picture(path))
            for size in (0.5, 0.65, 0.8):
                smaller = to_pixels(imresize(pixels, size).clamp(0, 1))
                write_picture(folder / f"{path.stem}_{size}.png", smaller)


def make_taught() -> None:
    """Pairs of the 91 pictures and DIV2K's centres in two sizes, whose HR is what DAT-light makes of the LR."""
    for scale in (2, 3, 4):
        make_whole(RUNS / f"taught_x{scale}", partial(_write_taught, scale))


@torch.inference_mode()
def _write_taught(scale: int, folder: Path) -> None:
    data = Path(DATA)
    sources = [(path, size) for name, sizes in TAUGHT.items() for size in sizes for path in find_pictures(data / name)]
    teacher, _ = find_network(data / f"weights_2/DAT_light_x{scale}.safetensors", scale)
    teacher.eval()
    for path, size in track(sources, f"DAT-light x{scale}"):
        name = f"{path.stem}_{size}.png"
        if (folder / "hr" / name).is_file():  # it takes hours, and goes on where it was stopped
            continue
        pixels = as_tensor(read_picture(path))
        lr = to_pixels(imresize(modcrop(imresize(pixels, size).clamp(0, 1), scale), 1 / scale).clamp(0, 1))
        write_picture(folder / "lr" / name, lr)
        hr = teacher(as_tensor(lr))
        write_picture(folder / "hr" / name, to_pixels(hr.clamp(0, 1)))


def publish(*names: str) -> None:
    """Scores the last checkpoint of each run, or of these networks' runs, and writes weights and card."""
    for name, scale in (key for key in STAGES if not names or key[0] in names):
        best = folder(name, scale) / "checkpoints/best.ckpt"
        if not best.is_file():
            print(f"{best}: not trained yet")
            continue
        model = published(name, scale)
        scores = {protocol: scored(published(name, scale), protocol) for protocol in PROTOCOLS}
        write_weights(model, name, {"scores": scores["y_rgb8"], "protocol": "y_rgb8"})
        card = card_of(name, model, scores, read_checkpoint(best)["global_step"])
        card_file(name, scale).write_text(card)
        print(card.split("## Scores")[1].split("## Training")[0])


def published(name: str, scale: int) -> Any:
    """The network with the weights that come with the package."""
    model = load_model(folder(name, scale) / "checkpoints/best.ckpt")
    if share := LAST_SHARE.get((name, scale)):
        before = load_model(folder(name, scale, -2) / "checkpoints/best.ckpt").state_dict()
        model.load_state_dict({key: torch.lerp(before[key], value, share) for key, value in model.state_dict().items()})
    return model


@cache
def bicubic_scores(scale: int) -> dict[str, dict[str, list[float]]]:
    """By protocol, once for all networks of a scale."""
    model = build(compose("evaluate", [f"scale={scale}"]).model)
    return {protocol: scored(model, protocol) for protocol in PROTOCOLS}


def card_of(name: str, model: Any, scores: dict[str, dict[str, list[float]]], step: int) -> str:
    """The text beside a file of weights."""
    stages = range(len(STAGES[name, model.scale]))
    cfgs = [compose("train", command(name, model.scale, stage)[3:-1]) for stage in stages]
    bicubic = bicubic_scores(model.scale)
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
        commands="\n".join(shlex.join(command(name, model.scale, stage)) for stage in stages),
        updates=sum(cfg.epochs * cfg.data.batches_per_epoch for cfg in cfgs),
        step=step,
        patches=" and ".join(dict.fromkeys(str(cfg.data.batch_size) for cfg in cfgs)),
        seed=cfgs[-1].seed,
        data=", ".join(words for name, words in SETS.items() if any(cfg.data.weights.get(name) for cfg in cfgs)),
        sizes=", and with `data.augment=lapsrn` all in smaller sizes too"
        * any(cfg.data.augment == "lapsrn" for cfg in cfgs),
        loss=", then ".join(dict.fromkeys("L2" if "MSE" in cfg.loss._target_ else "L1" for cfg in cfgs)),
        after=f", after those of x{STARTS.get((name, model.scale), 2)}," if model.scale != 2 else "",
        mean=f" with a share of {share:g}, and those before it"
        if (share := LAST_SHARE.get((name, model.scale)))
        else "",
        torch=torch.__version__.partition("+")[0],
    )


if __name__ == "__main__":
    actions = {"noise": make_noise, "smaller": make_smaller, "taught": make_taught, "train": train, "publish": publish}
    act(actions, {name: None for name, _ in STAGES})
