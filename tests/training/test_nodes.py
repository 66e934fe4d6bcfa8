"""Processes that torchrun or SLURM starts on several nodes train as one with the batch of all, and stop as one."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
import torch

from running import Forked, fails, run_here
from sr_lightning.config import compose
from sr_lightning.config.devices import started_nodes, started_per_node
from sr_lightning.errors import ConfigError
from sr_lightning.ranks import is_first_process, started_together
from sr_lightning.training.arguments import training_arguments
from sr_lightning.training.slurm import SlurmJob, requeue

RUN = (
    "model=espcn", "model.num_features=8", "trainer.accelerator=cpu", "trainer.precision=float32", "epochs=3",
    "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false", "data.batches_per_epoch=3",
    "data.patch_size=32", "data.num_workers=0", "optimizer.lr=0.01", "callbacks.channels_last.when=never",
)  # fmt: skip
TOLD = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an environment of a cluster says of the tests' own process."""
    for name in [name for name in os.environ if name in TOLD or name.startswith(("SLURM_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(name)


def torchrun_says(node: int, port: int) -> dict[str, str]:
    """What torchrun tells the only process of one of two nodes."""
    return {
        "RANK": str(node), "GROUP_RANK": str(node), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1",
        "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none",
    }  # fmt: skip


SLOW = """
import os, time
from sr_lightning.models.espcn import ESPCN
step = ESPCN.training_step
def slow(self, batch, batch_idx):
    os.write(1, b"step %d\\n" % self.trainer.global_step)
    if self.trainer.global_step >= 4:
        time.sleep(0.5)
    return step(self, batch, batch_idx)
ESPCN.training_step = slow
"""


def start_nodes(*args: str, cwd: Path, slow: bool = False) -> list[Forked]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code = (SLOW if slow else "") + "from sr_lightning.train import main; main()"
    typed = ("trainer=ddp", "data.batch_size=2", *RUN, "run_dir=run", *args)
    return [Forked(code, *typed, cwd=cwd, **torchrun_says(node, port)) for node in (0, 1)]


def end(processes: list[Forked]) -> list[str]:
    """What each wrote to stderr."""
    return [process.communicate(timeout=120)[1] for process in processes]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of an unbroken run on two nodes, and what its processes said."""
    folder = tmp_path_factory.mktemp("nodes")
    processes = start_nodes(cwd=folder)
    said = end(processes)
    assert [process.returncode for process in processes] == [0, 0], said
    return folder / "run", said


def test_two_nodes_are_one_process_with_the_batch_of_both(whole: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, said = whole
    assert "2 processes on 2 nodes: a step trains on 2 x 2 = 4 patches" in said[0] and not said[1]
    done = run_here("train", "trainer=cpu", "data.batch_size=4", *RUN, "run_dir=one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    one, two = weights(tmp_path / "one"), weights(folder)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    assert (folder / "train.log").exists() and len(list(folder.glob("*.log"))) == 1  # the second wrote none


def test_a_killed_node_ends_all_and_the_run_goes_on_to_the_same_bits(
    whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    processes = start_nodes(cwd=tmp_path, slow=True)
    for line in processes[1].stdout:
        if line.strip() == "step 4":
            break
    os.kill(processes[1].pid, signal.SIGKILL)
    said, _ = end(processes)
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and "Traceback" not in said
    assert "another process of this run ended" in errors[0] and errors[0].endswith("again with ckpt_path=auto")
    assert [process.returncode for process in processes] == [1, -signal.SIGKILL]
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    again = start_nodes("ckpt_path=auto", cwd=tmp_path)
    said, _ = end(again)
    assert [process.returncode for process in again] == [0, 0], said
    assert "resuming run with its settings" in said
    ours, unbroken = weights(tmp_path / "run"), weights(whole[0])
    assert all(torch.equal(ours[name], unbroken[name]) for name in unbroken)


def test_processes_without_a_common_folder_are_refused(tmp_path: Path) -> None:
    fails(run_here("train", *RUN, cwd=tmp_path, **torchrun_says(0, 1)), "type run_dir=FOLDER, the same for all")


@pytest.mark.parametrize(
    ("environment", "first", "together"),
    [
        ({}, True, False),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, True, True),  # torchrun
        ({"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}, False, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, True, False),
        ({"RANK": "1"}, True, False),  # a leftover: of how many it does not say
        ({"WORLD_SIZE": "abc", "RANK": "x"}, True, False),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "7"}, False, True),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_ID": "7"}, True, False),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7"}, True, False),  # the script itself
        ({"NODE_RANK": "1"}, False, True),  # Lightning's start on a second node, whose first process it is
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, False, False),  # Lightning's second process
        (
            {"NODE_RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"},
            True,
            False,
        ),  # and its first
    ],
)
def test_the_environment_tells_which_process_it_is(
    environment: dict[str, str], first: bool, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (is_first_process(), started_together()) == (first, together)


def test_the_trainer_takes_the_numbers_of_whoever_starts_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [started_per_node(2), started_nodes(1)] == [2, 1]
    trainer = compose("train", ["trainer=ddp"]).trainer
    assert (trainer.devices, trainer.num_nodes) == (2, 1)
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    trainer = compose("train", ["trainer=ddp"]).trainer
    assert (trainer.devices, trainer.num_nodes) == (4, 2)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    for name, value in {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "3"}.items():
        monkeypatch.setenv(name, value)
    trainer = compose("train", ["trainer=slurm"]).trainer
    assert (trainer.devices, trainer.num_nodes) == (2, 3)


def test_a_slurm_job_has_one_folder_and_goes_on_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert training_arguments(["trainer=slurm"]) == ["trainer=slurm"]  # which is refused later
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    assert training_arguments(["trainer=ddp"]) == ["trainer=ddp"]  # a task alone, which SLURM is not to requeue
    assert training_arguments(["trainer=slurm"]) == ["trainer=slurm", "run_dir=runs/train/slurm-7.0"]
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_STEP_ID", "1")  # the second srun of the job
        assert "run_dir=runs/train/slurm-7.1" in training_arguments(["trainer=slurm"])
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert "run_dir=runs/train/slurm-7.0" in training_arguments(["trainer=ddp"])
    assert "run_dir=mine" in training_arguments(["trainer=slurm", "run_dir=mine"])
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "6")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_PROCID", "1")
    second = training_arguments(["trainer=slurm"])
    assert "run_dir=runs/train/slurm-6_3.0" in second and "hydra.output_subdir=null" in second


def test_its_own_checkpoint_needs_a_folder_and_may_not_be_there_yet(
    whole: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="type it, too: run_dir=FOLDER"):
        training_arguments(["model=espcn", "ckpt_path=auto"])
    assert training_arguments(["model=espcn", "ckpt_path=auto", "run_dir=run"]) == ["model=espcn", "run_dir=run"]
    shutil.copytree(whole[0], tmp_path / "run")
    typed = training_arguments(["model=espcn", "ckpt_path=auto", "run_dir=run"])
    assert "ckpt_path=run/checkpoints/last.ckpt" in typed
    assert not any(arg.startswith(("trainer.devices", "trainer.num_nodes")) for arg in typed)  # this machine's
    (tmp_path / "run/checkpoints/last.ckpt").write_bytes(b"cut")
    assert "ckpt_path=run/checkpoints/best.ckpt" in training_arguments(["model=espcn", "ckpt_path=auto", "run_dir=run"])


SLURM = """
import os
from lightning.pytorch.strategies import Strategy
os.environ |= {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
    "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_NAME": "train",
    "SLURM_NODELIST": "127.0.0.1", "SLURM_NNODES": "1", "MASTER_ADDR": "127.0.0.1"}
"""


@pytest.mark.parametrize(("signum", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_job_whose_time_ends_goes_back_into_the_queue(signum: int, requeued: bool, tmp_path: Path) -> None:
    scontrol = tmp_path / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    path = f"{scontrol.parent}:{os.environ['PATH']}"
    code = f"{SLOW}{SLURM}from sr_lightning.train import main; main()"
    typed = ("trainer=slurm", "data.batch_size=2", *RUN, "run_dir=run")
    process = Forked(code, *typed, cwd=tmp_path, PATH=path, MASTER_PORT=str(port))
    for line in process.stdout:
        if line.strip() == "step 4":
            break
    process.send_signal(signum)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signum, said
    assert ("SLURM puts job 7 back into the queue" in said) == requeued
    assert ("resume with" in said) != requeued  # whoever typed that would start a twin of the job
    assert (tmp_path / "asked").exists() == requeued
    if requeued:
        assert (tmp_path / "asked").read_text() == "requeue 7\n"


def test_what_slurm_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert requeue("7")[1].startswith("job 7 cannot be put back into the queue")
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho no such job >&2\nexit 1\n")
    (tmp_path / "scontrol").chmod(0o755)
    assert requeue("7") == (False, "SLURM does not put job 7 back into the queue (no such job)")


def test_slurm_without_srun_and_fsdp_without_gpus_say_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="type srun before the command"):
        SlurmJob()
    with monkeypatch.context() as patch:
        for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"}.items():
            patch.setenv(name, value)
        with pytest.raises(ConfigError, match="type srun before the command"):
            SlurmJob()
    fails(run_here("train", "trainer=slurm", cwd=tmp_path), "type srun before the command")
    if not torch.cuda.is_available():
        fails(run_here("train", "trainer=fsdp", cwd=tmp_path), "trainer.accelerator=gpu")
