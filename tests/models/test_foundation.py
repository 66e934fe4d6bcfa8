"""Networks stand on Lightning as soon as somebody may train, those that were made before, too."""

import subprocess
import sys

import pytest

PROGRAM = """
import copy, pickle, sys
import torch
import sr_lightning as sr

upscaler = sr.load("espcn", device="cpu")
network = upscaler.model
assert not any("lightning.pytorch" in name for name in sys.modules) and type(network).__name__ == "ESPCN"
copied, pickled, arguments = copy.deepcopy(network), pickle.dumps(network), dict(network.hparams)
before = upscaler.upscale(torch.full((3, 8, 9), 0.5))

from lightning.pytorch import LightningModule, Trainer
from sr_lightning.models import ESPCN

assert isinstance(ESPCN(scale=2), LightningModule)
for each in (network, copied, pickle.loads(pickled), sr.load("espcn").model):
    assert isinstance(each, LightningModule) and isinstance(each, ESPCN) and dict(each.hparams) == arguments
    assert each.device.type == "cpu" and each.automatic_optimization and each._trainer is None
    assert torch.equal(each(torch.ones(1, 1, 4, 4)), network(torch.ones(1, 1, 4, 4)))
assert torch.equal(before, upscaler.upscale(torch.full((3, 8, 9), 0.5)))

batch = {"lr": torch.rand(1, 1, 8, 8), "hr": torch.rand(1, 1, 16, 16), "name": ["a"]}
trainer = Trainer(max_steps=1, logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
trainer.fit(network, torch.utils.data.DataLoader([batch], batch_size=None))
trainer.save_checkpoint("a.ckpt")
assert dict(ESPCN.load_from_checkpoint("a.ckpt").hparams) == arguments
assert sr.load("a.ckpt").model.scale == 2
"""

LIGHTNING_LATER = """
import sr_lightning as sr
upscaler = sr.load("espcn")
from lightning.pytorch import LightningModule
assert isinstance(upscaler.model, LightningModule)
"""

LIGHTNING_FIRST = """
from lightning.pytorch import LightningModule
import sr_lightning as sr
assert isinstance(sr.load("espcn").model, LightningModule)
"""

TO_TRAIN = """
import sr_lightning as sr
network = sr.from_pretrained("espcn")
from lightning.pytorch import LightningModule
assert isinstance(network, LightningModule)
"""

OF_A_USER = """
import sys, torch
from torch import nn
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.foundation import without_lightning

class Mine(SuperResolutionModule):
    def __init__(self, width: int = 3):
        super().__init__(nn.Conv2d(width, width, 1), scale=1)

with without_lightning():
    mine = Mine(width=4)
assert mine.hparams["width"] == 4 and "lightning" in sys.modules
"""


# Each program in a fork of a process that has imported most of what Lightning imports, but not Lightning.
IN_FORKS = """
import os, sys
import torch._dynamo, torchmetrics

assert not any("lightning.pytorch" in name for name in sys.modules)
for program in sys.argv[1:]:
    if not os.fork():
        exec(program, {"__name__": "__main__"})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The exit code of each program."""
    folder = tmp_path_factory.mktemp("programs")
    programs = PROGRAM, LIGHTNING_LATER, LIGHTNING_FIRST, TO_TRAIN, OF_A_USER
    command = [sys.executable, "-W", "ignore", "-c", IN_FORKS, *programs]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    print(told.stderr)
    return dict(zip(programs, map(int, told.stdout.split()), strict=True))


def test_a_network_is_ready_for_a_trainer_that_was_imported_later(ended: dict[str, int]) -> None:
    assert ended[LIGHTNING_LATER] == 0


def test_a_network_made_without_lightning_trains_later(ended: dict[str, int]) -> None:
    assert ended[PROGRAM] == 0


def test_a_process_with_lightning_makes_no_other_networks(ended: dict[str, int]) -> None:
    assert ended[LIGHTNING_FIRST] == 0


def test_a_network_to_train_further_stands_on_lightning(ended: dict[str, int]) -> None:
    assert ended[TO_TRAIN] == 0


def test_lightning_finds_arguments_that_are_not_declared(ended: dict[str, int]) -> None:
    assert ended[OF_A_USER] == 0
