"""What the benchmarks that train have in common: how they are told what to do, scores of the test sets, the machine."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from operator import eq
from pathlib import Path
from typing import Any

import torch

from sr_lightning.benchmarking.machine import facts
from sr_lightning.config import build, compose
from sr_lightning.errors import SRError, nearest
from sr_lightning.evaluation.scoring import score_sets

DATA = os.environ.get("SR_DATA", "data")


def act(
    actions: Mapping[str, Callable[..., None]], names: Iterable[str] = (), fits: Callable[[str, str], bool] = eq
) -> None:
    """Does what is typed: an action, and words that each have to fit a name."""
    action, *words = sys.argv[1:] or [""]
    if action not in actions:
        sys.exit(f"say one of {', '.join(actions)}")
    known = list(names)
    for word in words:
        if not signature(actions[action]).parameters:
            sys.exit(f"{word}: {action} takes no names; leave it out")
        if not any(fits(name, word) for name in known):
            sys.exit(f"{word}: there is no such name; {nearest(word, known)}")
    with mendable_told():
        actions[action](*words)


@contextmanager
def mendable_told() -> Iterator[None]:
    """Ends with one sentence where the user can mend what is wrong."""
    try:
        yield
    except SRError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:  # whose process has said why
        sys.exit(error.returncode)


def read_results(path: Path) -> dict[str, Any]:
    """What a benchmark wrote before; nothing where there is no file."""
    try:
        content = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SRError(f"{path}: is not whole JSON; take it back with git checkout, or delete it")
    return content


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
