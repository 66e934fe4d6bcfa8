"""Trains the network that estimates how damaged a picture is, and writes it beside the shipped networks.

    SR_DATA=… python benchmarks/condition.py          # 20 minutes on one core; goes on where it was stopped

Small pictures are made of DIV2K's centres, T91 and BSD200 (those reduced, because they are JPEGs) by a drawn factor,
blur and method; then noise of many kinds is added, whose measured deviation is to be told, and JPEG of a drawn quality.
"""

import math
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from sr_lightning.atomic import atomic_write
from sr_lightning.data.files.io import read_picture
from sr_lightning.functional import imresize
from sr_lightning.inference.condition import ConditionNet
from sr_lightning.weights.shipped import CONDITION

SIDE, BATCH, STEPS, SEED = 64, 16, 5000, 1
LAST = Path("runs/condition/last.pt")


def pictures() -> list[NDArray[np.float32]]:
    """Clean pictures ``(H, W, 3)`` in [0, 1]."""
    found = []
    for folder in ("DIV2K_center128", "T91", "BSD200"):
        for path in sorted((Path(os.environ["SR_DATA"]) / folder).iterdir()):
            pixels = read_picture(path).astype(np.float32) / 255
            if pixels.shape[2] == 1:
                continue
            if folder == "BSD200":
                pixels = reduced(pixels, 2.0)
            found.append(pixels)
    return found


def reduced(pixels: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """A smaller picture, by MATLAB's bicubic."""
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    small = imresize(x, size=(round(pixels.shape[0] / factor), round(pixels.shape[1] / factor)))
    return small[0].permute(1, 2, 0).clamp(0, 1).numpy().copy()


def sample(rng: np.random.Generator, sources: list[NDArray[np.float32]]) -> tuple[NDArray[np.uint8], list[float]]:
    """A damaged picture, and what the network is to say of it."""
    pixels = sources[rng.integers(len(sources))]
    factor = float(rng.choice([1.0, rng.uniform(1.2, 4.0)], p=[0.3, 0.7]))
    if rng.random() < 0.4:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.2, 1.5))
    if min(pixels.shape[:2]) / factor < 40:
        factor = min(pixels.shape[:2]) / 40
    if factor > 1:
        size = round(pixels.shape[1] / factor), round(pixels.shape[0] / factor)
        how = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, None, None)[rng.integers(5)]
        pixels = reduced(pixels, factor) if how is None else cv2.resize(pixels, size, interpolation=how)
    clean = pixels.clip(0, 1)
    noisy = with_noise(clean, rng) if rng.random() < 0.6 else clean
    levels = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
    sigma = 255 * float(np.sqrt(np.mean((noisy.clip(0, 1) - clean) ** 2)))
    quality = 100
    if rng.random() < 0.6:
        quality = int(rng.integers(25, 99))
        sub = int(rng.choice([cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]))
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sub]
        _, file = cv2.imencode(".jpg", levels[..., ::-1], options)
        levels = cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1]
    height, width = levels.shape[:2]
    # On JPEG's grid half of the time: pictures that were cut lie anywhere on it.
    step = 8 if rng.random() < 0.7 else 1
    top = int(rng.integers(max(1, (height - SIDE) // step + 1))) * step
    left = int(rng.integers(max(1, (width - SIDE) // step + 1))) * step
    cut = levels[top : top + SIDE, left : left + SIDE]
    cut = np.pad(cut, ((0, SIDE - cut.shape[0]), (0, SIDE - cut.shape[1]), (0, 0)), mode="symmetric")
    if rng.random() < 0.5:
        cut = cut[:, ::-1] if step == 8 and width % 8 == 0 else cut
    return np.ascontiguousarray(cut), [math.log1p(sigma), (100 - quality) / 10]


def with_noise(clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of the sensor: fine or coarse, grey or in colour, alike everywhere or of photons."""
    sigma = math.exp(rng.uniform(math.log(0.7), math.log(50))) / 255
    channels = 1 if rng.random() < 0.4 else 3
    height, width = clean.shape[:2]
    grain = float(rng.uniform(1, 2)) if rng.random() < 0.3 else 1.0
    shape = math.ceil(height / grain), math.ceil(width / grain), channels
    noise = rng.standard_normal(shape).astype(np.float32)
    if grain > 1:
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
        noise /= noise.std()
    if rng.random() < 0.3:
        noise = noise * np.sqrt(clean + 0.02) / 0.7
    noisy: NDArray[np.float32] = clean + sigma * noise
    return noisy


def batch(rng: np.random.Generator, sources: list[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Pictures and what is true of them."""
    made = [sample(rng, sources) for _ in range(BATCH)]
    x = torch.from_numpy(np.stack([pixels for pixels, _ in made])).permute(0, 3, 1, 2).float() / 255
    return x, torch.tensor([truth for _, truth in made])


def train() -> ConditionNet:
    """One cycle of AdamW."""
    torch.manual_seed(SEED)
    net, sources = ConditionNet(), pictures()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS, pct_start=0.1)
    start, mean = 0, 0.0
    if LAST.is_file():
        state = torch.load(LAST, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    for step in range(start, STEPS):
        x, truth = batch(np.random.default_rng([SEED, step]), sources)
        loss = torch.nn.functional.smooth_l1_loss(net(x), truth, beta=0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = 0.99 * mean + 0.01 * float(loss.detach()) if step > start else float(loss.detach())
        if (step + 1) % 250 == 0:
            LAST.parent.mkdir(parents=True, exist_ok=True)
            parts = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            torch.save({**parts, "step": step + 1}, LAST)
            print(f"{step + 1}: {mean:.4f}", file=sys.stderr, flush=True)
    return net.eval()


if __name__ == "__main__":
    with atomic_write(CONDITION) as temporary:
        temporary.write_bytes(save(train().state_dict()))
