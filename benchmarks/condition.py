"""Trains the network that estimates how damaged a picture is, and writes it beside the shipped networks.

    SR_DATA=… python benchmarks/condition.py          # 20 minutes on one core; goes on where it was stopped

Small pictures are made of DIV2K's centres, T91 and BSD200 (those reduced, because they are JPEGs) by a drawn factor,
blur and method; then noise of many kinds is added, whose measured deviation is to be told, and JPEG of a drawn quality.
"""

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from sr_lightning.atomic import atomic_write
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import read_picture
from sr_lightning.functional import imresize, psnr, rgb_to_y, shave
from sr_lightning.inference.condition import ConditionNet
from sr_lightning.weights.shipped import CLEAN, CONDITION, PHOTO, load_pretrained

SIDE, BATCH, STEPS, SEED = 64, 16, 5000, 1
SECOND_STEPS = 5000
LAST, FIRST = Path("runs/condition/last.pt"), Path("runs/condition/first.pt")
#: What the two networks are compared on, and the decibels beyond which it is all the same how many.
KINDS, LARGEST = ("bicubic", "bicubic", "jpeg", "photo", "real_mild", "real_medium", "realesrgan"), 2.0


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
    # On JPEG's grid most of the time: pictures that were cut lie anywhere on it.
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
    """Pictures and what is true of them; which network is better is not known."""
    made = [sample(rng, sources) for _ in range(BATCH)]
    x = torch.from_numpy(np.stack([pixels for pixels, _ in made])).permute(0, 3, 1, 2).float() / 255
    return x, torch.tensor([[*truth, math.nan, math.nan] for _, truth in made])


def compared(scale: int, count: int = 6000) -> tuple[Tensor, Tensor]:
    """Small pictures damaged in known ways, and how far `photo` is above `span` on each; kept in a file.

    Returns:
        ``(count, 3, 64, 64)`` and decibels ``(count,)``.
    """
    file = LAST.with_name(f"compared_x{scale}.pt")
    if file.is_file():
        kept = torch.load(file, weights_only=True)
        return kept["x"], kept["gains"]
    degradations = [build(compose("train", [f"degradation={name}"]).degradation) for name in KINDS]
    networks = [load_pretrained(name, scale) for name in (PHOTO, CLEAN)]
    paths = [path for folder in ("BSD200", "BSDS500_test", "T91", "DIV2K_center128")
             for path in sorted((Path(os.environ["SR_DATA"]) / folder).iterdir())]  # fmt: skip
    rng, found = np.random.default_rng([SEED, scale]), []
    while len(found) < count:
        hr = torch.from_numpy(read_picture(paths[rng.integers(len(paths))])).permute(2, 0, 1)[None].float() / 255
        if min(hr.shape[-2:]) < SIDE * scale // 2 or hr.shape[1] != 3:
            continue
        high, wide = (min(SIDE * scale, length // scale * scale) for length in hr.shape[-2:])
        top, left = int(rng.integers(hr.shape[-2] - high + 1)), int(rng.integers(hr.shape[-1] - wide + 1))
        hr = hr[..., top : top + high, left : left + wide]
        lr = degradations[rng.integers(len(KINDS))](hr, scale, [SEED, len(found), scale])
        truth = shave(rgb_to_y(hr), scale)
        with torch.inference_mode():
            scores = [float(psnr(shave(rgb_to_y(net(lr).clamp(0, 1)), scale), truth)) for net in networks]
        missing = ((0, 0), (0, 0), *((0, SIDE - length) for length in lr.shape[-2:]))
        lr = torch.from_numpy(np.pad(lr.numpy(), missing, mode="symmetric"))
        found.append((lr[0], scores[0] - scores[1]))
    x, gains = torch.stack([x for x, _ in found]), torch.tensor([gain for _, gain in found])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"x": x, "gains": gains}, file)
    return x, gains


def gains_batch(rng: np.random.Generator, known: dict[int, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Pictures of which it is known what one network gains over the other, at one scale each."""
    rows, truths = [], []
    for number, scale in enumerate((2, 4)):
        x, gains = known[scale]
        for index in rng.integers(len(x), size=BATCH):
            rows.append(x[index].flip(-1) if rng.random() < 0.5 else x[index])
            truth = [math.nan] * 4
            truth[2 + number] = float(gains[index].clamp(-LARGEST, LARGEST))
            truths.append(truth)
    return torch.stack(rows), torch.tensor(truths)


def known_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 of what is known; of gains also whether the sign is right, which counts more the larger they are."""
    known, gains = ~truth.isnan(), truth[:, 2:].nan_to_num()
    sign = F.binary_cross_entropy_with_logits(4 * found[:, 2:], (gains > 0).float(), gains.abs().clamp(max=1))
    return F.smooth_l1_loss(found[known], truth[known], beta=0.5) + 2 * sign


def train() -> ConditionNet:
    """One cycle of AdamW for noise and compression, then one for what the networks gain."""
    torch.manual_seed(SEED)
    net, sources = ConditionNet(), pictures()
    if not FIRST.is_file():
        cycle(net, STEPS, 3e-3, lambda rng: batch(rng, sources))
        torch.save(net.state_dict(), FIRST)
    net.load_state_dict(torch.load(FIRST, weights_only=True))
    known = {scale: compared(scale) for scale in (2, 4)}
    together: Callable[[Tensor, Tensor], Tensor] = lambda *parts: torch.cat(parts)  # noqa: E731
    cycle(net, SECOND_STEPS, 1e-3, lambda rng: tuple(map(together, batch(rng, sources), gains_batch(rng, known))))
    return net.eval()


def cycle(
    net: ConditionNet, steps: int, rate: float, draw: Callable[[np.random.Generator], tuple[Tensor, ...]]
) -> None:
    """Trains up to a rate and down again; goes on where it was stopped."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    parts: dict[str, Any] = {"net": net, "optimizer": optimizer, "schedule": schedule}
    start, mean = 0, 0.0
    if LAST.is_file():
        state = torch.load(LAST, weights_only=True)
        start = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    for step in range(start, steps):
        x, truth = draw(np.random.default_rng([SEED, steps, step]))
        loss = known_loss(net(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = 0.99 * mean + 0.01 * float(loss.detach()) if step > start else float(loss.detach())
        if (step + 1) % 250 == 0:
            LAST.parent.mkdir(parents=True, exist_ok=True)
            torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step + 1}, LAST)
            print(f"{step + 1}: {mean:.4f}", file=sys.stderr, flush=True)
    LAST.unlink(missing_ok=True)


if __name__ == "__main__":
    with atomic_write(CONDITION) as temporary:
        temporary.write_bytes(save(train().state_dict()))
