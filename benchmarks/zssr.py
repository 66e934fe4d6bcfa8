"""Zero-shot super-resolution of Set5 x2: of bicubic LR pictures, and of pictures blurred by a Gaussian that is given.

    SR_DATA=… python benchmarks/zssr.py [--output benchmarks/zssr.md]

One picture after another; goes on where it was stopped, and writes the table after each. Further words are overrides
of `upscale`, such as zero_shot.seed=1; they belong to the results, so give them a --state of their own.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import atomic_write
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture, to_uint8
from sr_lightning.degradations.kernels import gaussian_kernel
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize, round_8bit
from sr_lightning.inference.loading import load_upscaler
from sr_lightning.inference.zero_shot.reduction import Reduction, given_kernel

SCALE, SIGMA, PUBLISHED = 2, 1.6, 37.37
PRESETS = {"bicubic": "default", "gaussian": "kernel"}


def bicubic_lr(hr: Tensor, protocol: Any) -> Tensor:
    lr: Tensor = protocol.prepare(hr, None, SCALE, False)[0]
    return lr


def gaussian_lr(hr: Tensor, protocol: Any) -> Tensor:
    """Every second pixel of the blurred picture, the first included; the kernel makes up for half a pixel."""
    hr = protocol.prepare(hr, None, SCALE, False)[1]
    kernel = given_kernel(gaussian_kernel(21, SIGMA), (SCALE, SCALE), (hr.shape[-2], hr.shape[-1]))
    return round_8bit(Reduction((SCALE, SCALE), kernel).down(hr[0].float())[None])


def as_array(picture: Tensor) -> NDArray[np.uint8]:
    return (picture[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def measure(path: Path, task: str, argv: list[str], comparators: list[str], kernel: Path) -> dict[str, Any]:
    protocol = build(compose("evaluate", ["protocol=y_rgb8"]).protocol)
    pixels = np.broadcast_to(to_uint8(read_picture(path)), (*to_uint8(read_picture(path)).shape[:2], 3))
    hr = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    lr = (bicubic_lr if task == "bicubic" else gaussian_lr)(hr, protocol)
    truth = protocol.prepare(hr, None, SCALE, False)[1]

    def score(sr: Tensor) -> list[float]:
        values = protocol.score(round_8bit(sr), truth, SCALE)
        return [float(values["psnr"]), float(values["ssim"])]

    scores = {"bicubic": score(imresize(lr, SCALE))}
    for comparator in comparators:
        upscaler = load_upscaler(compose("upscale", [*comparator.split(), f"scale={SCALE}", "device=cpu"]))
        scores[comparator.split()[0].removeprefix("model=")] = score(as_tensor(upscaler.upscale(as_array(lr))))
    given = [f"zero_shot.kernel={kernel}"] if task == "gaussian" else []
    cfg = compose("upscale", ["model=zssr", f"zero_shot={PRESETS[task]}", f"scale={SCALE}", *given, *argv])
    zero_shot, begin = load_upscaler(cfg), time.perf_counter()
    sr = zero_shot.upscale(as_array(lr))
    seconds = time.perf_counter() - begin
    history = zero_shot.history  # type: ignore[attr-defined]
    return {
        "scores": scores | {"ZSSR": score(as_tensor(sr))}, "iterations": history[-1]["iteration"], "seconds": seconds,
        "size": "x".join(map(str, lr.shape[:-3:-1])), "seed": cfg.zero_shot.seed,
    }  # fmt: skip


def table(results: dict[str, dict[str, Any]], timed: bool, argv: list[str]) -> str:
    lines = [
        "# Zero-shot super-resolution of Set5 x2",
        "",
        f"`python benchmarks/zssr.py{' '.join(['', *argv])}`: PSNR in dB / SSIM, protocol `y_rgb8`; seed, iterations",
        "until the learning rate had fallen below its limit, and the size of the LR picture beside them.",
        f"Torch {torch.__version__}, {platform.machine()}.",
    ]
    for task, title in (
        ("bicubic", f"Bicubic LR, `zero_shot=default` (the paper states {PUBLISHED})"),
        ("gaussian", f"LR blurred by a Gaussian of sigma {SIGMA} (21x21), which is given: `zero_shot=kernel`"),
    ):
        mine = {key.split("/")[1]: value for key, value in results.items() if key.startswith(task)}
        if not mine:
            continue
        rows = [row(name, value, timed) for name, value in mine.items()]
        mean = {key: np.mean([v["scores"][key] for v in mine.values()], axis=0).tolist() for key in methods(mine)}
        rows.append(row(f"mean of {len(mine)}", {"scores": mean}, timed))
        lines += ["", f"## {title}", "", markdown(rows)]
    return "\n".join(lines) + "\n"


def methods(results: dict[str, Any]) -> list[str]:
    return [key for key in next(iter(results.values()))["scores"] if all(key in v["scores"] for v in results.values())]


def row(name: str, value: dict[str, Any], timed: bool) -> dict[str, str]:
    cells = {method: f"{psnr:.4f} / {ssim:.4f}" for method, (psnr, ssim) in value["scores"].items()}
    extra = {key: str(value.get(key, "")) for key in ("size", "iterations", "seed")}
    return {"picture": name, **cells, **extra} | (
        {"seconds": f"{value['seconds']:.0f}" if "seconds" in value else ""} if timed else {}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SR_DATA", "data")) / "Set5")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/zssr.md"))
    parser.add_argument("--state", type=Path, default=Path("runs/zssr/results.json"))
    parser.add_argument("--only", nargs="*", default=[], help="tasks or names of pictures")
    parser.add_argument("--timed", action="store_true", help="seconds in the table: on an idle machine")
    parser.add_argument(
        "--comparator", action="append", help='overrides of upscale: "model=imdn weights=IMDN_x2.pth"; may be repeated'
    )
    options, argv = parser.parse_known_args()
    results: dict[str, dict[str, Any]] = json.loads(options.state.read_text()) if options.state.is_file() else {}
    kernel = options.state.with_name("gaussian.npy")
    kernel.parent.mkdir(parents=True, exist_ok=True)
    np.save(kernel, gaussian_kernel(21, SIGMA))
    pictures = sorted(find_pictures(options.data), key=lambda path: path.stat().st_size)
    for path in pictures:
        for task in PRESETS:
            key = f"{task}/{path.stem}"
            if key in results or (options.only and not {task, path.stem} & {*options.only}):
                continue
            results[key] = measure(path, task, argv, options.comparator or ["model=fsrcnn"], kernel)
            for file, text in (
                (options.state, json.dumps(results, indent=1)),
                (options.output, table(results, options.timed, argv)),
            ):
                with atomic_write(file) as temporary:
                    temporary.write_text(text)
            print(key, json.dumps(results[key]), flush=True)
    print(table(results, options.timed, argv))


if __name__ == "__main__":
    main()
