"""A run has its folder to itself, and one that does not begin leaves none."""

import errno
import json
import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
import yaml
from omegaconf import OmegaConf

from running import run_here
from sr_lightning.config import compose
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.errors import CheckpointError, ConfigError, NothingToDo, SRError
from sr_lightning.train import train
from sr_lightning.training.run_folders import backup_existing, metrics_files, new_folder, run_folder
from wandb_files import wandb_records

SHORT = [
    "model=espcn", "model.num_features=8", "data.batches_per_epoch=3", "data.batch_size=2", "data.num_workers=0",
    "data.patch_size=32", "trainer=cpu", "trainer.precision=32-true", "trainer.enable_progress_bar=false", "epochs=2",
]  # fmt: skip


def test_of_several_that_want_a_folder_each_gets_one(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        made = pool.map(new_folder, [str(tmp_path / "runs/a")] * 12)
    assert sorted(Path(folder).name for folder in made) == sorted(["a", *(f"a_{i}" for i in range(2, 13))])


def test_two_runs_of_the_same_second_have_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "now")
    monkeypatch.setattr("hydra.core.utils.datetime", _Now)
    for _ in range(2):
        assert run_here("train", *SHORT, "epochs=1", "trainer.limit_val_batches=0", cwd=tmp_path).returncode == 0
    assert sorted(folder.name for folder in (tmp_path / "runs/train").iterdir()) == ["now", "now_2"]
    for folder in (tmp_path / "runs/train").iterdir():
        assert (folder / "checkpoints/last.ckpt").is_file()
        assert (folder / ".hydra/overrides.yaml").is_file()


class _Now:
    @classmethod
    def now(cls) -> "_Now":
        return cls()

    def strftime(self, pattern: str) -> str:
        return "now"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "from sr_lightning.training.run_folders import run_folder\n"
         f"with run_folder({str(tmp_path)!r}):\n"
         "    print('held', flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with (
        pytest.raises(ConfigError, match=r": another run uses this folder; choose another with run_dir="),
        run_folder(tmp_path),
    ):
        pass
    holder.kill()  # and no leftover keeps the folder from the next one
    holder.wait()
    with run_folder(tmp_path):
        pass


@pytest.mark.parametrize(
    "bad",
    [
        ["data=folder", "data.hr_dir=none"], ["init_from=none.ckpt"], ["seed=-1"], ["optimizer.lr=-1"],
        ["optimizer.betas=[2,0.9]"], ["loss=perceptual"], ["trainer.devices=0"], ["model=bicubic"],
        ["logger=wandb", "data=folder", "data.hr_dir=none"],
    ],
)  # fmt: skip
def test_a_start_that_fails_leaves_no_folder(bad: list[str], tmp_path: Path) -> None:
    overrides = [o for o in SHORT if o.split("=")[0] not in ("model.num_features",) or "model=bicubic" not in bad]
    assert run_here("train", *overrides, *bad, cwd=tmp_path).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("path", ["./rel/../r3", "a/b/../../r3", "../outside/r3", "a/../../outside/r3", "r3", "x/y/r3"])
def test_a_start_that_fails_removes_what_its_path_made(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="fails"), run_folder(path):
        raise ConfigError("it fails")
    assert [file.relative_to(tmp_path).as_posix() for file in sorted(tmp_path.rglob("*"))] == ["here", "outside"]


def test_a_start_that_fails_below_a_link_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "here/runs").symlink_to(tmp_path / "scratch")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="it fails"), run_folder("runs/train/r3"):
        raise ConfigError("it fails")
    assert (tmp_path / "here/runs").is_symlink() and not [*(tmp_path / "scratch").iterdir()]


def test_what_was_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").touch()
    assert run_here("train", *SHORT, "run_dir=run", "init_from=none.ckpt", cwd=tmp_path).returncode == 1
    assert (tmp_path / "run/notes.txt").is_file()


@pytest.mark.parametrize("folder", ["/proc/none", "a_file", "x" * 300])
def test_a_folder_that_cannot_be_made_is_one_sentence(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    result = run_here("train", *SHORT, f"hydra.run.dir={folder}", cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ") and folder in line


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was started from Python."""
    folder = tmp_path_factory.mktemp("run") / "run"
    train(compose("train", [*SHORT, f"run_dir={folder}"]))
    return folder


def test_a_complete_run_has_nothing_to_do(finished: Path, tmp_path: Path) -> None:
    """But to remove what a run left that was killed while it wrote its last checkpoint again."""
    ckpt = finished / "checkpoints/last.ckpt"
    left_over = finished / "checkpoints/.last-1-0123abcd.ckpt"
    left_over.touch()
    result = run_here("train", f"ckpt_path={ckpt}", cwd=tmp_path)
    assert not left_over.exists()
    assert result.returncode == 0
    assert result.stdout == f"{ckpt}: already at epoch 2 of 2; to train longer, type epochs=4\n"
    assert not any(tmp_path.iterdir())
    with pytest.raises(NothingToDo, match=r"already at step 6 of 4; to train longer, type trainer\.max_steps=12"):
        train(compose("train", [*SHORT, "epochs=9", "trainer.max_steps=4", f"ckpt_path={ckpt}", "run_dir=run"]))


def test_a_run_from_python_is_resumed_by_the_path_of_its_checkpoint(finished: Path, tmp_path: Path) -> None:
    """And ``run_dir=`` is the folder of everything, Hydra's notes among it."""
    assert (
        run_here(
            "train", f"ckpt_path={finished}/checkpoints/last.ckpt", "epochs=4", "run_dir=more", cwd=tmp_path
        ).returncode
        == 0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["more"]
    settings = OmegaConf.load(tmp_path / "more/config.yaml")
    assert (settings.model.num_features, settings.data.patch_size, settings.trainer.max_epochs) == (8, 32, 4)
    assert run_here("train", "ckpt_path=more/checkpoints/last.ckpt", "epochs=5", cwd=tmp_path).returncode == 0


def test_a_second_run_in_a_folder_sets_the_first_aside(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for seed in (1, 2):
        train(compose("train", [*SHORT, "epochs=1", f"seed={seed}", f"run_dir={folder}"]))
    names = {path.name for path in folder.iterdir()}
    assert {"config.1.yaml", "metrics.1.csv", "results.1.json", "checkpoints.1", "checkpoints"} <= names
    last = folder / "checkpoints/last.ckpt"
    train(compose("train", [*SHORT, "epochs=2", "seed=2", f"ckpt_path={last}", f"run_dir={folder}"]))
    assert last.is_file() and not (folder / "checkpoints.2").exists()
    assert metrics_files(folder) == [folder / "metrics.2.csv", folder / "metrics.csv"], "metrics.1.csv is another run's"
    there = {path.name for path in folder.iterdir()}
    other = ["optimizer=sgd", f"ckpt_path={tmp_path}/../{tmp_path.name}/run/checkpoints/last.ckpt"]
    with pytest.raises(CheckpointError, match="Adam"):
        train(compose("train", [*SHORT, "epochs=3", *other, f"run_dir={folder}"]))
    assert {path.name for path in folder.iterdir()} == there, "a run that does not begin leaves the folder as it was"


def test_a_resumed_run_counts_the_seconds_before(finished: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(finished / "checkpoints/last.ckpt", weights_only=True)
    took = json.loads((finished / "results.json").read_text())["seconds"]
    assert 0 < checkpoint["callbacks"]["TrainingTime"]["seconds"] <= took + 0.1
    checkpoint["callbacks"]["TrainingTime"]["seconds"] = 1e6
    torch.save(checkpoint, tmp_path / "last.ckpt")
    train(compose("train", [*SHORT, "epochs=3", f"ckpt_path={tmp_path}/last.ckpt", f"run_dir={tmp_path}/more"]))
    assert 1e6 < json.loads((tmp_path / "more/results.json").read_text())["seconds"] < 1e6 + 1e3


def test_a_part_that_logged_nothing_hides_no_other(tmp_path: Path) -> None:
    for name in ("config.1.yaml", "config.2.yaml", "metrics.2.csv", "config.3.yaml", "metrics.csv"):
        (tmp_path / name).touch()
    assert metrics_files(tmp_path) == [tmp_path / "metrics.2.csv", tmp_path / "metrics.csv"]
    (tmp_path / "checkpoints.3").mkdir()
    assert metrics_files(tmp_path) == [tmp_path / "metrics.csv"], "the parts before are another run's"


def test_what_is_set_aside_together_has_one_number(tmp_path: Path) -> None:
    for name in ("config.yaml", "config.1.yaml", "metrics.csv"):
        (tmp_path / name).touch()
    backup_existing(tmp_path, ["config.yaml", "metrics.csv", "checkpoints"])
    left = {path.name for path in tmp_path.iterdir()}  # config.yaml until there is a new one, should this be killed
    assert left == {"config.yaml", "config.1.yaml", "config.2.yaml", "metrics.2.csv"}


def test_evaluating_into_the_folder_of_a_training_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/config.yaml").write_text("of: training")
    result = run_here("evaluate", "data=samples", "run_dir=run", cwd=tmp_path)
    assert result.returncode == 1
    assert "run: is the folder of a training run; choose another run_dir=" in result.stderr
    assert (tmp_path / "run/config.yaml").read_text() == "of: training"


def test_logs_of_other_programs_stay(tmp_path: Path) -> None:
    (tmp_path / "other.log").touch()
    with pytest.raises(SRError), run_folder(tmp_path):
        raise SRError("as if the data were not there")
    assert [path.name for path in tmp_path.iterdir()] == ["other.log"]


def test_every_logger_gets_all_settings_and_the_final_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    scores = train(compose("train", [*SHORT, "epochs=1", "logger=[csv,tensorboard,wandb]", f"run_dir={tmp_path}/run"]))
    assert wandb.run is None  # another run in this process has one of its own
    wandb.teardown()  # waits for its process, which writes
    config, summary = read_wandb(tmp_path / "run/wandb")
    for settings in (config, yaml.safe_load((tmp_path / "run/hparams.yaml").read_text()), read_tensorboard(tmp_path)):
        assert settings["loss"] == {"_target_": "torch.nn.L1Loss"}
        assert settings["optimizer"]["_target_"] == "torch.optim.Adam"
        assert settings["scheduler"]["_target_"] == "sr_lightning.training.schedules.cosine"
        assert (settings["protocol"]["name"], settings["data"]["patch_size"], settings["seed"]) == ("y_rgb8", 32, 1)
        assert settings["model"]["num_features"] == 8
        assert settings["versions"]["torch"] and settings["overrides"][0] == "model=espcn"
    assert summary["final/espcn/samples/psnr"] == pytest.approx(scores["psnr"], abs=1e-4)
    assert summary["final/bicubic/samples/psnr"] == pytest.approx(33.4839, abs=1e-4)
    assert "final/espcn/samples/psnr" in (tmp_path / "run/metrics.csv").read_text().splitlines()[0]


def read_wandb(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and last values of the offline run in a folder, as its transaction log has them."""
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in wandb_records(folder):
        for item in (*record.config.update, *record.run.config.update):
            config[item.key] = json.loads(item.value_json)
        for item in (*record.history.item, *record.summary.update):
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return config, summary


def read_tensorboard(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "run/tensorboard/hparams.yaml").read_text())


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "run: the disk is full; free space, then nothing was saved yet",
        ),
        (OSError(errno.EIO, "Input/output error"), r"run: cannot be used \(Input/output error\); fix that, then "),
        (OSError(errno.ESTALE, "Stale file handle", "run/last.ckpt"), "run/last.ckpt: cannot be used "),
    ],
)
@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "by torch"])
def test_a_disk_that_fails_is_one_sentence(
    raised: OSError, message: str, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where torch hides it in an error of its own, as it closes the zip of a checkpoint."""

    def save(*args: Any) -> None:
        try:
            raise raised
        except OSError:
            if hidden:
                raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904
            raise

    monkeypatch.setattr("torch.save", save)
    with pytest.raises(SRError, match=message):
        train(compose("train", [*SHORT, "epochs=1", f"run_dir={tmp_path}/run"]))


@pytest.mark.parametrize(
    "raised", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_too_little_memory_is_one_sentence(raised: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def training_step(*args: Any) -> None:
        raise raised

    monkeypatch.setattr("sr_lightning.models.espcn.ESPCN.training_step", training_step)
    with pytest.raises(SRError, match=r"^there is not enough memory for a training step; lower "):
        train(compose("train", [*SHORT, "epochs=1", f"run_dir={tmp_path}/run"]))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_is_killed_is_one_sentence(
    signum: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does where memory is full."""

    run, whole = os.getpid(), PatchDataset.__getitems__

    def load(*given: Any) -> Any:
        if os.getpid() != run:  # which loads a batch, too
            os.kill(os.getpid(), signum)
        return whole(*given)

    monkeypatch.setattr(PatchDataset, "__getitems__", load)
    with pytest.raises(
        SRError,
        match=r"^a process that loads pictures was killed, usually because memory was full.* lower data\.num_workers",
    ):
        train(compose("train", [*SHORT, "epochs=1", "data.num_workers=1", f"run_dir={tmp_path}/run"]))


def test_a_worker_that_is_gone_while_it_hands_over_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("torch.utils.data.dataloader._MultiProcessingDataLoaderIter._try_get_data", receive)
    with pytest.raises(SRError, match=r"^a process that loads pictures was killed, usually because memory was full"):
        train(compose("train", [*SHORT, "epochs=1", "data.num_workers=1", f"run_dir={tmp_path}/run"]))
