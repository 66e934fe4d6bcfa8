"""The commands as a user types them: real processes, real pictures, one clear sentence for every mistake."""

import csv
import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from running import fails, run_forked, run_here
from sr_lightning.errors import SRError

SHORT = (
    "model=espcn", "trainer=cpu", "trainer.max_epochs=2", "trainer.enable_progress_bar=false",
    "data.batches_per_epoch=3",
    "data.batch_size=2", "data.num_workers=0", "data.patch_size=48", "trainer.log_every_n_steps=1",
)  # fmt: skip


def in_a_process(command: str, *args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"sr_lightning.{command}", *args],
        cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1", **env}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run on the sample photographs."""
    folder = tmp_path_factory.mktemp("trained")
    result = run_forked("train", *SHORT, "hydra.run.dir=run", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "| bicubic | samples | 33.48" in result.stdout
    return folder / "run"


def test_a_run_leaves_what_the_readme_says(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} >= {
        "checkpoints",
        "pictures",
        "metrics.csv",
        "results.json",
        "config.yaml",
    }
    assert {path.name for path in (trained / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert Image.open(trained / "pictures" / "samples_astronaut.png").width > 1000
    assert "${" not in (trained / "config.yaml").read_text()
    result = json.loads((trained / "results.json").read_text())
    assert result["protocol"] == "y_rgb8"
    assert result["steps"] == 6
    assert set(result["sets"]["samples"]["images"]) == {"astronaut", "chelsea"}
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    assert any(row["val/psnr"] for row in rows)
    assert any(row["train/loss"] for row in rows)


def test_resume(trained: Path, tmp_path: Path) -> None:
    checkpoint = f"ckpt_path={trained}/checkpoints/last.ckpt"
    result = run_forked("train", *SHORT, "trainer.max_epochs=3", checkpoint, "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run/results.json").read_text())["steps"] == 9


def test_evaluate(trained: Path, tmp_path: Path) -> None:
    result = run_forked(
        "evaluate", "model=espcn", f"checkpoint={trained}/checkpoints/best.ckpt", "data=samples", "protocol=y_rgb8",
        "save_images=true", "hydra.run.dir=scores", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "scores/results.json").read_text())
    assert set(scores) >= {"protocol", "scale", "model", "versions", "sets"}
    expected = json.loads((trained / "results.json").read_text())["sets"]["samples"]
    assert scores["sets"]["samples"]["psnr"] == pytest.approx(expected["psnr"], abs=1e-6)
    assert Image.open(tmp_path / "scores/pictures/samples/chelsea.png").size == (450, 300)


def test_benchmarks(real_data: Path, tmp_path: Path) -> None:
    result = run_forked(
        "evaluate", "model=bicubic", f"data.root={real_data}", "data.sets=[set5]", "scale=3", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "30.3922" in result.stdout
    assert "0.8682" in result.stdout


def test_sweep_ends_with_one_table(tmp_path: Path) -> None:
    result = run_forked(
        "train", "-m", *SHORT[1:], "trainer.max_epochs=1", "model=espcn,fsrcnn_s", "hydra.sweep.dir=sweep", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "sweep/table.csv").open()))
    assert [(row["model"], row["parameters"], row["protocol"]) for row in rows] == [
        ("bicubic", "", "y_rgb8"),
        ("espcn", "21284", "y_rgb8"),
        ("fsrcnn_s", "4086", "y_rgb8"),
    ]
    assert float(rows[1]["seconds"]) > 0
    assert int(rows[1]["macs_720p"]) > 1e9
    assert (tmp_path / "sweep/table.md").read_text().startswith("| run ")


def test_a_failed_run_does_not_stop_the_sweep(tmp_path: Path) -> None:
    result = run_forked(
        "train",
        "-m",
        *SHORT[:-2],
        "trainer.max_epochs=1",
        "data.patch_size=48,4800",
        "hydra.sweep.dir=sweep",
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert "fewer than data.patch_size=4800" in result.stderr
    assert [row["model"] for row in csv.DictReader((tmp_path / "sweep/table.csv").open())][1:] == ["espcn", "failed"]


@pytest.mark.parametrize("typed", [["seed=1", "hydra.run.dir=run"], ["-m", "seed=1,2", "hydra.sweep.dir=sweep"]])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.ckpt"), "error: a.ckpt: the disk is full; free space or "),
        (OSError(errno.EIO, "Input/output error", "a.png"), "error: a.png: cannot be used (Input/output error); "),
        (TypeError("'str' and 'int'"), "error: optimizer.lr=fast: must be a number, such as "),
        (SRError("what to do"), "error: what to do"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_in_every_run(
    typed: list[str], error: Exception, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("sr_lightning.train.train", fail)
    result = run_here("train", *typed, "optimizer.lr=fast", cwd=tmp_path)
    told = result.stderr.splitlines()
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert sum(line.startswith(sentence) for line in told) == (2 if "-m" in typed else 1), result.stderr


def test_a_sweep_without_a_table_fails_with_its_runs(tmp_path: Path) -> None:
    result = run_here("upscale", "-m", "input=none.png,nothing.png", "hydra.sweep.dir=sweep", cwd=tmp_path)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 1 and len(errors) == 2, result.stderr


def test_two_processes(tmp_path: Path) -> None:
    result = in_a_process("train", *SHORT, "trainer=ddp", "trainer.accelerator=cpu", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("| bicubic |") == 1
    assert json.loads((tmp_path / "run/results.json").read_text())["steps"] == 6


MISTAKES: list[tuple[str, list[str], list[str]]] = [
    ("train", ["model=fscrnn"], ["model=fscrnn", "'fsrcnn'"]),
    ("train", ["modle=rdn"], ["modle", "'model'"]),
    ("train", ["+model=edsr"], ["leave out the +: model=edsr"]),
    ("train", ["+loss=l1"], ["loss is chosen already; leave out the +: loss=l1"]),
    ("train", ["name=@x", "optimizer.lr=fast"], ["optimizer.lr=fast: must be a number"]),
    ("train", ["+callbacks@callbacks=ema"], ["callbacks=[default,ema]"]),
    ("train", ["data.patchsize=48"], ["data.patchsize", "'data.patch_size'"]),
    ("train", ["trainer.max_epoch=1"], ["'trainer.max_epochs'"]),
    ("train", ["experiment=fsrcnn_t91"], ["'fsrcnn_t91_x2'"]),
    (
        "train",
        ["model=rdn", "data=div2k", "data_dir=nowhere"],
        ["nowhere/DIV2K", "DIV2K_train_HR/0001.png", "prepare data=div2k"],
    ),
    ("train", ["data=t91", "data_dir=nowhere"], ["nowhere/T91", "data.root"]),
    ("train", ["data=folder"], ["data.hr_dir=FOLDER"]),
    ("train", ["data=benchmarks", "data_dir=nowhere"], ["nowhere"]),
    ("train", ["model=bicubic"], ["no parameters", "evaluate"]),
    ("train", [*SHORT, "scale=5"], ["data.patch_size=48", "45 or 50"]),
    ("train", ["name=~me"], ["quote"]),
    ("train", ["seed=-1"], ["seed=-1"]),
    ("evaluate", ["data=samples", "device=cuda:9"], ["device=cuda:9"]),
    ("evaluate", ["data=samples", "protocol.space=lab"], ["protocol.space=lab", "rgb"]),
    ("train", ["scale=2.5"], ["scale=2.5", "whole number"]),
    ("train", ["data.batch_size=0"], ["data.batch_size=0", "whole number"]),
    ("train", ["optimizer.lr=fast"], ["optimizer.lr=fast", "number", "0.001"]),
    ("train", ["trainer.precision=fp7"], ["fp7"]),
    ("train", ["max_minutes=0"], ["max_minutes=0: must be a number above 0"]),
    ("train", ["max_minutes=soon"], ["max_minutes=soon: must be a number above 0"]),
    ("train", ["init_from=spam"], ["init_from=spam", "'span'"]),
    ("train", ["model=edsr", "init_from=span"], ["it is of SPAN, which is not EDSR"]),
    ("evaluate", ["model=span", "scale=5", "data=samples"], ["scale 2, 3, 4, but not for 5"]),
    ("train", ["+model.depth=3"], ["EDSR", "depth"]),
    ("train", ["+data.colour=3"], ["Samples", "colour"]),
    ("train", [*SHORT, "data.patch_size=1000"], ["fewer than data.patch_size=1000", "at most"]),
    ("train", [*SHORT, "ckpt_path=missing.ckpt"], ["missing.ckpt", "no such checkpoint"]),
    (
        "evaluate",
        ["model=rdn", "data=samples"],
        ["model=rdn: no weights are shipped for it; give weights="],
    ),
    ("train", ["optimizer.lr=abc"], ["optimizer.lr=abc: must be a number"]),
    ("evaluate", ["data=samples", "model.rounding=each"], ["model.rounding=each", "none, once, per_pass"]),
    ("evaluate", ["data=samples", "model.edge=foo"], ["model.edge=foo", "symmetric, replicate"]),
    ("evaluate", ["data.root=nowhere"], ["nowhere", "data_dir=FOLDER"]),
    ("evaluate", ["data.sets=[set6]"], ["set6", "'set5'"]),
    ("evaluate", ["protocol=y_matlap"], ["'y_matlab'"]),
    ("upscale", ["input=a.png", "weights=[a.pt]"], ["weights=['a.pt']: names one file of weights"]),
    ("train", ["optimizer.lr=null"], ["optimizer.lr=null: must be a number, such as 0.001"]),
    ("train", ["loss=mix", "loss.weights=[1]"], ["loss.weights=[1]: must be names and values, such as {l1: VALUE,"]),
    ("train", ["teacher=[a]"], ["teacher=['a']: names one network"]),
    ("train", ["model=span", "model.branches=yess"], ["SPAN: branches=yess: must be true or false"]),
    ("train", ["name=[a]"], ["name=['a']: must be a word"]),
    ("train", ["callbacks=[null]"], ["a config group cannot be null"]),
    ("train", ["run_dir=null", "seed=-1"], ["seed=-1"]),
    ("upscale", ["input=a.png", "weights={2: a.pt}"], ["names one file of weights"]),
    ("upscale", ["input=${nothing}"], ["Interpolation key 'nothing' not found"]),
    ("upscale", ["input=a.png", "input.x=1"], ["input.x: there is no such key; input has no parts"]),
    ("upscale", ["--resolve"], ["--resolve flag can only be used"]),
]


@pytest.mark.parametrize(
    ("command", "args", "words"), MISTAKES, ids=lambda value: None if isinstance(value, list) else value
)
def test_mistakes_are_explained(command: str, args: list[str], words: list[str], tmp_path: Path) -> None:
    fails(run_here(command, *args, cwd=tmp_path, SR_DATA="nowhere"), *words)
    assert not any(tmp_path.iterdir())


def test_bad_checkpoints(trained: Path, tmp_path: Path) -> None:
    whole = (trained / "checkpoints/best.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "pickled.ckpt")
    (tmp_path / "best.ckpt").write_bytes(whole)

    def evaluate(file: str, *args: str) -> subprocess.CompletedProcess[str]:
        return run_here("evaluate", "model=espcn", f"checkpoint={file}", "data=samples", *args, cwd=tmp_path)

    fails(evaluate("half.ckpt"), "half.ckpt", "damaged or cut short")
    fails(evaluate("empty.ckpt"), "empty.ckpt", "is empty")
    fails(evaluate("other.ckpt"), "other.ckpt", "holds no dictionary of weights")
    fails(
        evaluate("pickled.ckpt"),
        "pickled.ckpt",
        "holds a pickled torch.nn.modules.linear.Linear, which only runs as code",
    )
    (tmp_path / "random.ckpt").write_bytes(random.Random(1).randbytes(5000))
    fails(evaluate("random.ckpt"), "random.ckpt", "damaged, or no file of weights")
    fails(evaluate("best.ckpt", "scale=3"), "best.ckpt", "scale 2", "set scale=2")
    fails(evaluate("best.ckpt", "model=fsrcnn"), "best.ckpt", "espcn.ESPCN", "does not fit FSRCNN")
    resumed = run_here("train", *SHORT, "data=samples", "ckpt_path=half.ckpt", cwd=tmp_path)
    fails(resumed, "half.ckpt", "damaged or cut short")


def test_a_class_says_whose_checkpoint_it_was_given(trained: Path) -> None:
    from sr_lightning.errors import CheckpointError
    from sr_lightning.models import EDSR, ESPCN, RDN, SRCNN

    path = trained / "checkpoints/best.ckpt"
    assert ESPCN.load_from_checkpoint(path, weights_only=True).scale == 2
    for other in (RDN, EDSR, SRCNN):
        sentence = (
            rf"best\.ckpt: written by sr_lightning\.models\.espcn\.ESPCN, does not fit {other.__name__}; use ESPCN"
        )
        with pytest.raises(CheckpointError, match=sentence):
            other.load_from_checkpoint(path, weights_only=True)
    with pytest.raises(TypeError, match="depth"):
        ESPCN.load_from_checkpoint(path, depth=3)


def test_bad_pictures(picture_folder: Any, tmp_path: Path) -> None:
    folder = picture_folder("hr", count=3)
    small = picture_folder("lr", count=3, size=(30, 35))

    def train(*args: str) -> subprocess.CompletedProcess[str]:
        return run_here(
            "train",
            *SHORT,
            "data=folder",
            f"data.hr_dir={folder}",
            "data.num_val=1",
            "data.patch_size=24",
            *args,
            cwd=tmp_path,
        )

    fails(train(f"data.lr_dir={small}"), "60x72", "30x35", "30x36")
    whole = (folder / "01.png").read_bytes()
    (folder / "01.png").write_bytes(whole[: len(whole) // 2])
    fails(train(), "01.png")
    (folder / "01.png").unlink()
    (folder / "01.png").write_bytes(b"not a picture")
    fails(train(), "01.png", "not a picture")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills in the middle of a checkpoint: one sentence, and the file before it is still whole."""
    import errno

    from sr_lightning.config import build, compose
    from sr_lightning.errors import SRError
    from sr_lightning.training.building import build_model, build_trainer, prepare_run
    from sr_lightning.training.fitting import fit

    cfg = compose("train", [*SHORT, f"run_dir={tmp_path}"])
    prepare_run(cfg)
    trainer, saves, save = build_trainer(cfg, tmp_path), [], torch.save

    def half(checkpoint: Any, file: Any) -> None:
        saves.append(file.name)
        if len(saves) > 2:
            file.write(b"half a checkpoint")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(checkpoint, file)

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(
        SRError, match=r"the disk is full; free space, then resume with: python -m .* ckpt_path=.*\.ckpt"
    ):
        fit(trainer, build_model(cfg), build(cfg.data), None, tmp_path)
    assert len(saves) == 3
    files = list((tmp_path / "checkpoints").iterdir())
    assert {file.name for file in files} == {"best.ckpt", "last.ckpt"}
    for file in files:
        assert "state_dict" in torch.load(file, weights_only=True)


def test_nothing_of_an_earlier_run_is_lost(trained: Path, tmp_path: Path) -> None:
    """A folder that is used again keeps its results and metrics under numbered names."""
    import shutil

    folder = shutil.copytree(trained, tmp_path / "run")
    before = {name: (folder / name).read_bytes() for name in ("metrics.csv", "results.json", "config.yaml")}
    checkpoint = f"ckpt_path={folder}/checkpoints/last.ckpt"
    result = run_forked("train", *SHORT, "trainer.max_epochs=3", checkpoint, "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    after = {name: (folder / name.replace(".", ".1.")).read_bytes() for name in before}
    assert after == before


def test_ddp_in_a_sweep_is_refused(tmp_path: Path) -> None:
    result = run_forked("train", "-m", *SHORT, "trainer=ddp", "scale=2,3", "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert result.returncode == 1
    assert "ddp_spawn" in result.stderr
