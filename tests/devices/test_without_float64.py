"""On a device without float64, such as Apple's GPUs, nothing asks for it: every path runs on one that is made up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fake_device import NAME
from sr_lightning.devices import WITHOUT_FLOAT64, float64_device, has_float64, in_float64, moved

PROGRAM = Path(__file__).with_name("paths_on_fake_device.py")
#: What computes on the CPU whatever the network's device, or in parts there.
SOME = 4


def found(*names: str) -> dict[str, str | int]:
    """How many operations gave tensors on the device on each path, or the error that ended it.

    Args:
        names: First words of the paths.
    """
    if not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch makes no device without compiling")
    argv = [sys.executable, "-W", "ignore", str(PROGRAM), *names]
    helpers = os.pathsep.join([str(PROGRAM.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": helpers}
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, str | int] = json.loads(ended.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["train", "loss"], 12),
        (["metric", "upscale", "branches"], 15),
        (["evaluate", "degrade", "engines", "sanity"], 6),
    ],
)
def test_every_path_computes_on_the_device_and_makes_no_float64(names: list[str], count: int) -> None:
    told_by_path = found(*names)
    assert len(told_by_path) == count
    wrong = {name: told for name, told in told_by_path.items() if isinstance(told, str) or told < SOME}
    assert not wrong, "\n".join(f"{name}: {told}" for name, told in wrong.items())


def test_a_device_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.devices.double.WITHOUT_FLOAT64", {*WITHOUT_FLOAT64, "meta"})
    x = torch.zeros(2, dtype=torch.float64)
    assert not has_float64("meta") and float64_device("meta") == torch.device("cpu") != torch.device("meta")
    assert moved(x, "meta") is x and moved(x.to(torch.uint16), "meta").device.type == "cpu"
    assert moved(x.float(), "meta").device.type == "meta" and moved(x, "cpu") is x


def test_the_order_of_moving_and_converting(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    class Elsewhere:
        device = torch.device("mps")

        def cpu(self) -> "Elsewhere":
            done.append("cpu")
            return self

        def double(self) -> "Elsewhere":
            done.append("double")
            return self

    there: Any = Elsewhere()
    in_float64(there)
    assert done == ["cpu", "double"]


@pytest.mark.parametrize("has", [True, False])
def test_intels_gpus_tell_whether_they_have_it(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        has_fp64 = has

    monkeypatch.setattr("torch.xpu.get_device_properties", lambda device: Properties())
    assert has_float64("xpu:0") is has


def test_the_made_up_device_is_not_here() -> None:
    """It stays in its own process."""
    with pytest.raises(RuntimeError):
        torch.device(NAME)
