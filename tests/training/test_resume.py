"""Runs that are stopped and go on: what is typed is ``ckpt_path=`` alone, what comes out is the unbroken run."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from running import Forked, run_forked
from sr_lightning.config import compose
from sr_lightning.train import train as train_command
from sr_lightning.training.resume import with_settings_of_run

RESUME = "resume with: python -m sr_lightning.train ckpt_path="
SHORT = (
    "model=espcn", "model.num_features=8", "trainer=cpu", "trainer.precision=32-true", "trainer.max_epochs=2",
    "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
    "data.batches_per_epoch=3", "data.batch_size=2", "data.patch_size=48", "optimizer.lr=0.01",
)  # fmt: skip
#: One step takes long enough to be interrupted in it, as steps of large networks do.
SLOW = """
import os, sys, time
from sr_lightning.models.espcn import ESPCN
step = ESPCN.training_step
def slow(self, batch, batch_idx):
    os.write(1, b"step %d\\n" % self.trainer.global_step)  # whole, though another process writes there too
    time.sleep(0.4)
    return step(self, batch, batch_idx)
ESPCN.training_step = slow
from sr_lightning.train import main
sys.argv[0] = "train"
main()
"""


def start(*args: str, cwd: Path, code: str = SLOW, ignore: bool = False) -> Forked:
    """A run in a group of its own, as a terminal makes them, in which Ctrl-C reaches loaders' workers too.

    Or one that ignores it, as shells start them in the background of a script.
    """
    return Forked(code, *args, cwd=cwd, ignore=ignore)


def train(*args: str, cwd: Path) -> str:
    done = run_forked("train", *args, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stderr


def train_here(*overrides: str, folder: Path) -> Path:
    """The same in this process, which has imported everything already."""
    train_command(compose("train", [*overrides, f"run_dir={folder}"]))
    return folder


def interrupt(process: Forked, step: int, signum: int, group: bool = True) -> str:
    """Sends the signal while that step is being computed; what the run says in the end."""
    for line in process.stdout:
        if line.strip() == f"step {step}":
            break
    os.killpg(process.pid, signum) if group else process.send_signal(signum)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signum, errors
    assert "Traceback" not in errors and "Error executing" not in errors
    return errors.strip().splitlines()[-1]


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Weights, moments and schedule are equal to the bit."""
    moments = [
        [value for slot in c["optimizer_states"][0]["state"].values() for value in slot.values()] for c in (a, b)
    ]
    return (
        a["global_step"] == b["global_step"]
        and a["lr_schedulers"] == b["lr_schedulers"]
        and all(torch.equal(a["state_dict"][name], b["state_dict"][name]) for name in a["state_dict"])
        and all(torch.equal(x, y) for x, y in zip(*moments, strict=True))
    )


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unbroken run of two epochs that has kept the checkpoint of the first."""
    keep = ("callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.filename='{epoch}'")
    folder = tmp_path_factory.mktemp("whole")
    train(*SHORT, *keep, "hydra.run.dir=run", cwd=folder)
    return folder / "run"


def test_the_path_of_a_checkpoint_is_all_there_is_to_type(whole: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(whole, tmp_path / "renamed run")
    said = train("ckpt_path='renamed run/checkpoints/0.ckpt'", cwd=tmp_path)
    (line,) = [line for line in said.splitlines() if line.startswith("resuming ")]
    assert "resuming renamed run with its settings: model=espcn model.num_features=8" in line
    assert line.endswith("new results go to a new folder")
    (folder,) = (tmp_path / "runs/train").iterdir()
    assert state(moved)["global_step"] == 6
    assert same(state(folder), state(whole))


@pytest.mark.parametrize(
    ("signum", "step", "stops_after", "options"),
    [
        (signal.SIGINT, 1, 2, ["data.num_workers=1"]),
        (signal.SIGINT, 2, 4, ["data.num_workers=0", "scheduler=plateau"]),  # the last of its epoch
        (signal.SIGTERM, 3, 4, ["data.num_workers=1"]),
        (signal.SIGINT, 1, 2, ["data.num_workers=1", "trainer.accumulate_grad_batches=2", "data.batches_per_epoch=6"]),
        (signal.SIGINT, 0, 1, ["data.num_workers=0", "data.batches_per_epoch=1"]),
        (signal.SIGINT, 1, 2, ["data.num_workers=0", "callbacks=[default,ema]"]),
        (signal.SIGHUP, 1, 2, ["data.num_workers=1"]),
        (signal.SIGUSR1, 1, 2, ["data.num_workers=1"]),
    ],
    ids=["middle", "epoch-end", "sigterm", "accumulated", "epochs-of-one-step", "ema", "sighup", "sigusr1"],
)
def test_an_interrupted_run_ends_with_the_same_bits(
    signum: int, step: int, stops_after: int, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train_here(*SHORT, *options, folder=tmp_path / "whole")
    process = start(*SHORT, *options, "hydra.run.dir=broken", cwd=tmp_path)
    said = interrupt(process, step, signum, group=signum == signal.SIGINT)
    assert said == f"interrupted after step {stops_after}; {RESUME}broken/checkpoints/last.ckpt"
    assert state(tmp_path / "broken")["global_step"] == stops_after
    monkeypatch.chdir(tmp_path)
    resumed = train_here(*with_settings_of_run([said.split()[-1]]), folder=tmp_path / "resumed")
    assert same(state(resumed), state(unbroken))


def test_workers_that_are_ended_too_leave_the_checkpoint_before(tmp_path: Path) -> None:
    said = interrupt(start(*SHORT, "data.num_workers=1", "hydra.run.dir=run", cwd=tmp_path), 4, signal.SIGTERM)
    assert said.endswith(f"{RESUME}run/checkpoints/last.ckpt")
    assert state(tmp_path / "run")["global_step"] >= 3


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_a_run_in_the_background_of_a_script_is_stopped_too(signum: int, tmp_path: Path) -> None:
    process = start(*SHORT, "data.num_workers=0", "hydra.run.dir=run", cwd=tmp_path, ignore=True)
    said = interrupt(process, 1, signum, group=False)
    assert said == f"interrupted after step 2; {RESUME}run/checkpoints/last.ckpt"
    assert state(tmp_path / "run")["global_step"] == 2


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    code = SLOW.replace("0.4", "0.4 if self.trainer.global_step < 3 else 60")
    process = start(*SHORT, "data.num_workers=1", "hydra.run.dir=run", cwd=tmp_path, code=code)
    while process.stdout.readline().strip() != "step 3":
        pass
    os.killpg(process.pid, signal.SIGINT)
    while "once more" not in process.stderr.readline():
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.strip().endswith(f"interrupted after step 3; {RESUME}run/checkpoints/last.ckpt")
    assert state(tmp_path / "run")["global_step"] == 3  # of the end of the epoch


def test_a_sweep_ends_with_the_run_that_is_interrupted(tmp_path: Path) -> None:
    process = start("-m", *SHORT, "data.num_workers=0", "seed=1,2", "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert "ckpt_path=sweep/0/checkpoints/last.ckpt" in interrupt(process, 1, signal.SIGINT)
    assert not (tmp_path / "sweep/1").exists()


def test_only_the_first_process_says_how_to_go_on(tmp_path: Path) -> None:
    """Though Lightning has taken their number out of the environment when training has ended."""
    code = """
import os
from sr_lightning.cli.start import run
from sr_lightning.errors import Interrupted
def task(cfg):
    os.environ.pop("WORLD_SIZE")
    raise Interrupted("interrupted", 2)
run(task, "train")
"""
    for rank, said in (("0", "interrupted\n"), ("1", "")):
        process = Forked(code, "run_dir=run", cwd=tmp_path, WORLD_SIZE="2", LOCAL_RANK=rank)
        assert process.communicate(timeout=300)[1] == said
        assert process.returncode == 130


def test_two_processes_stop_after_the_same_step(tmp_path: Path) -> None:
    options = ["data.num_workers=0", "trainer.devices=2", "trainer.strategy=ddp", "hydra.run.dir=run"]
    slow = SLOW.replace("0.4", "3")  # the signal comes within the step also where the machine is busy
    (tmp_path / "train").write_text(slow)  # what the second process runs
    said = interrupt(start(*SHORT, *options, cwd=tmp_path, code=slow), 1, signal.SIGINT, group=False)
    assert said == f"interrupted after step 2; {RESUME}run/checkpoints/last.ckpt"
