"""What this library computes on a device, computed on one without float64; prints what became of each, as JSON."""

import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fake_device import NAME, OnFakeDevice, fake_device

Paths = dict[str, Callable[[], object]]


def paths() -> Paths:
    """By name, what is computed."""
    return {
        "train": train,
        "train against a discriminator": partial(train, "discriminator=unet_sn", epochs=1),
        **{f"loss {name}": partial(loss, name) for name in LOSSES},
        **{f"metric {name}": partial(metric, name) for name in METRICS},
        **{f"upscale {name}": partial(upscale, **options) for name, options in UPSCALE.items()},
        "upscale a picture at any scale": any_scale,
        "branches that become one convolution": merged,
        "evaluate": partial(evaluate, "protocol=y_matlab"),
        "evaluate all metrics": partial(evaluate, "protocol=rgb_div2k", f"protocol.metrics=[{','.join(ALONE)}]"),
        "evaluate in 16 bit": evaluate_deep,
        "degrade": degrade,
        "engines that agree": agreement,
        "sanity of a file": sanity,
    }


LOSSES = ("l1", "charbonnier", "cobi", "colour", "blurred_colour", "dct", "fft", "haar", "ssim")
LOSSES += ("perceptual loss.network=random loss.width=0.25",)
METRICS = ("PSNR", "SSIM", "MSSSIM", "IFC", "LRConsistency", "LPIPS", "DISTS")
ALONE = ("psnr", "ssim", "lr_psnr", "niqe", "blockiness", "noise")
UPSCALE: dict[str, dict[str, Any]] = {
    "a small picture": {"size": (40, 30)},
    "in strips": {"size": (330, 270)},
    "in tiles": {"size": (120, 90), "tile": 48, "ensemble": "median"},
    "by an ensemble, and back": {"size": (60, 50), "ensemble": "mean", "back_projection": 1},
    "in bf16": {"size": (40, 30), "precision": "bf16"},
    "as EDSR's authors": {"size": (60, 50), "tiling": "chop"},
}


@contextmanager
def pictures() -> Iterator[str]:
    """A folder with a picture of 8 bit and two of 16 bit."""
    import cv2

    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in (("a", np.uint8), ("b", np.uint16), ("c", np.uint16)):
            values = draw.random((120, 212, 3)) * np.iinfo(kind).max
            cv2.imwrite(str(Path(folder, f"{name}.png")), values.astype(kind))
        yield folder


@contextmanager
def classifier() -> Iterator[str]:
    """A file of VGG16 with drawn weights."""
    from sr_lightning.blocks.vgg import _architecture

    torch.manual_seed(3)
    layers = torch.nn.Sequential(*_architecture("vgg16")[1])
    with tempfile.TemporaryDirectory() as folder:
        torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, f"{folder}/vgg16.pth")
        yield f"{folder}/vgg16.pth"


def train(*overrides: str, epochs: int = 2) -> None:
    """Epochs with validation, EMA and the usual callbacks, the second of which goes on from a checkpoint."""
    from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator

    from sr_lightning.config import build, compose
    from sr_lightning.training.building import build_model, build_trainer, prepare_run
    from sr_lightning.training.fitting import fit

    class Accelerator(CPUAccelerator):
        @staticmethod
        def get_parallel_devices(devices: Any) -> list[torch.device]:
            return [torch.device(NAME, 0)]

        def setup_device(self, device: torch.device) -> None:
            assert device.type == NAME

        @staticmethod
        def name() -> str:
            return NAME

    AcceleratorRegistry.register(NAME, Accelerator, override=True)
    with pictures() as hr, tempfile.TemporaryDirectory() as folder:
        for last_epoch in range(1, epochs + 1):
            cfg = compose("train", [
                "model=edsr_baseline", "model.num_features=8", "model.num_blocks=1",
                "callbacks=[default,ema]", "callbacks.channels_last.when=never",
                "data=folder", f"data.hr_dir={hr}", "data.num_val=1",
                "data.batches_per_epoch=2", "data.batch_size=2", "data.patch_size=32", "data.num_workers=0",
                f"epochs={last_epoch}", "max_minutes=null", "logger=none", f"trainer.accelerator={NAME}", 
                "trainer.precision=float32",
                "+trainer.strategy={_target_: lightning.pytorch.strategies.SingleDeviceStrategy, device: 'fake:0'}",
                "trainer.enable_progress_bar=false", f"run_dir={folder}", *overrides,
            ])  # fmt: skip
            prepare_run(cfg)
            trainer = build_trainer(cfg, Path(folder))
            model = build_model(cfg)
            last = Path(folder, "checkpoints", "last.ckpt")
            fit(trainer, model, build(cfg.data), str(last) if last_epoch > 1 else None, Path(folder))
            assert trainer.strategy.root_device.type == NAME and trainer.callback_metrics["val/psnr"] > 5


def loss(name: str) -> None:
    """Value and gradient."""
    from sr_lightning.config import build, compose

    made = build(compose("train", f"loss={name}".split()).loss).to(NAME)
    sr, hr = (torch.rand(1, 3, 32, 32).to(NAME) for _ in range(2))
    value = made(sr.requires_grad_(), hr)
    assert value.device == sr.device and value.dtype == torch.float32 and value.ndim == 0
    (gradient,) = torch.autograd.grad(value, sr)
    assert gradient.device == sr.device and bool(gradient.isfinite().all())


def metric(name: str) -> None:
    """Of one batch or two, the same as on the CPU."""
    from sr_lightning.metrics import image

    with classifier() as weights:
        file = {"weights": weights}
        given: dict[str, Any] = {"LRConsistency": {"scale": 2}, "LPIPS": file, "DISTS": file}.get(name, {})
        made, there = (getattr(image, name)(**given) for _ in range(2))
    there.to(NAME)
    for seed in range(2 if name == "PSNR" else 1):
        torch.manual_seed(seed)
        side = {"LPIPS": 32, "DISTS": 32, "MSSSIM": 162}.get(name, 72)
        sr, hr = torch.rand(1, 3, side, side), torch.rand(1, 3, *[side // 2 if name == "LRConsistency" else side] * 2)
        made.update(sr, hr)
        there.update(sr.to(NAME), hr.to(NAME))
    assert abs(float(made.compute()) - float(there.compute())) < 1e-6


def network(name: str = "edsr_baseline") -> Any:
    """A small network of the configs, with drawn weights."""
    from tiny_networks import make

    torch.manual_seed(0)
    return make(name)


def upscale(size: tuple[int, int], **options: Any) -> None:
    """As on the CPU, but for sums of another order; in half precision as it comes."""
    from sr_lightning import Upscaler

    picture = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    here, there = (Upscaler(network(), device=device, **options).array(picture) for device in ("cpu", NAME))
    assert options.get("precision") or np.abs(here.astype(int) - there).max() <= 1


def any_scale() -> None:
    """LIIF's decoding."""
    from sr_lightning import Upscaler

    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    Upscaler(network("liif"), device=NAME).upscale(picture, factor=2.5)


def merged() -> None:
    """The same result."""
    model = network("span_paper").to(NAME)
    merged = model.merged()
    picture = torch.rand(1, 3, 16, 16).to(NAME)
    with torch.no_grad():
        assert merged.device.type == NAME and float((model(picture) - merged(picture)).abs().max()) < 1e-3


def evaluate(*overrides: str) -> None:
    """Scores as on the CPU."""
    from sr_lightning.config import build, compose
    from sr_lightning.evaluation.scoring import score_sets

    with pictures() as hr:
        cfg = compose("evaluate", ["data=folder", f"data.hr_dir={hr}", "data.num_val=1", *overrides])
        data, model = build(cfg.data), network()
        data.setup("test")
        model.protocol = build(cfg.protocol)
        here, there = (score_sets(model, data, device=device) for device in ("cpu", NAME))
    assert here == there and here


def evaluate_deep() -> None:
    """A picture of 16 bit, in a batch on the device as Lightning moves it."""
    model = network()
    picture = torch.randint(0, 65536, (1, 3, 96, 80), dtype=torch.int32).to(torch.uint16)
    batch: Any = {"hr": picture, "name": ["deep"]}
    expected = model.score(batch)[1]["psnr"]
    model.to(NAME)
    assert torch.equal(expected, model.score(model.transfer_batch_to_device(batch, torch.device(NAME), 0))[1]["psnr"])


def degrade() -> None:
    """What makes LR pictures on the device."""
    from sr_lightning.config import build, compose

    for name in ("bicubic", "dn"):
        degradation = build(compose("train", [f"degradation={name}"]).degradation)
        degradation(torch.rand(1, 3, 32, 32).to(NAME), 2, 0)


def agreement() -> None:
    """What decides between engines and between precisions."""
    from sr_lightning.inference.engines.agreement import photographs, tolerance
    from sr_lightning.inference.engines.half_precision import psnr_between
    from sr_lightning.inference.tiles.receptive_field import receptive_radius

    net = network().net.to(NAME)
    inputs = photographs(network(), device=NAME)
    assert tolerance(net, inputs) > 0 and psnr_between(net, net, inputs) == float("inf")
    receptive_radius(net, (3,), 2)


def sanity() -> None:
    """Whether weights make pictures."""
    from sr_lightning.inference.sanity import measured_on_a_photograph

    measured_on_a_photograph(network().to(NAME), "file")


def main(names: list[str]) -> None:
    found: dict[str, str | int] = {}
    with fake_device():
        for name, path in paths().items():
            if names and name not in names and name.partition(" ")[0] not in names:
                continue
            before = OnFakeDevice.operations
            try:
                path()
                found[name] = OnFakeDevice.operations - before
            except Exception:
                found[name] = traceback.format_exc()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
