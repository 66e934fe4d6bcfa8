"""What the benchmarks that train have in common: scores of the test sets, and the machine that they ran on."""

import os
from typing import Any

import torch

from sr_lightning.benchmarking.machine import facts
from sr_lightning.config import build, compose
from sr_lightning.evaluation.scoring import score_sets

DATA = os.environ.get("SR_DATA", "data")


def scored(model: Any, protocol: str, *sets: str) -> dict[str, list[float]]:
    """Mean PSNR and SSIM of each test set of the protocol, or of these sets."""
    chosen = [f"data.sets=[{','.join(sets)}]"] if sets else []
    cfg = compose("evaluate", [f"protocol={protocol}", f"scale={model.scale}", f"data_dir={DATA}", *chosen])
    model.protocol, data = build(cfg.protocol), build(cfg.data)
    data.setup("test")
    return {name: [values["psnr"], values["ssim"]] for name, values in score_sets(model, data).items()}


def this_machine() -> dict[str, Any]:
    """Processor, what it multiplies natively, threads and versions."""
    machine = facts(torch.device("cpu"))
    return {key: machine[key] for key in ("processor", "flags", "threads", "versions")}
