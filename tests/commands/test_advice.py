"""What a newcomer types wrongly, and the sentence that says how to type it."""

import re
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import sr_lightning as sr
from running import fails, run_here
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, SRError
from sr_lightning.evaluation.scoring import count_macs
from sr_lightning.inference.files.jobs import find_jobs
from sr_lightning.models import ESPCN, IMDN
from sr_lightning.training.resume import with_settings_of_run
from sr_lightning.weights.load import load_weights

TINY = (
    "model=espcn", "trainer=cpu", "epochs=1", "trainer.enable_progress_bar=false", "data.batches_per_epoch=1",
    "data.batch_size=1", "data.num_workers=0",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, with the checkpoints of a network at random."""
    folder = tmp_path / "r1"
    (folder / "checkpoints").mkdir(parents=True)
    model = ESPCN(scale=2)
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": {"scale": 2}}
    model.on_save_checkpoint(checkpoint)
    for name in ("best.ckpt", "last.ckpt"):
        torch.save(checkpoint, folder / "checkpoints" / name)
    return folder


def photo(folder: Path, name: str = "photo.png") -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("command", "key", "file"),
    [
        ("train", "ckpt_path", "last.ckpt"),
        ("train", "init_from", "best.ckpt"),
        ("upscale", "checkpoint", "best.ckpt"),
        ("evaluate", "checkpoint", "best.ckpt"),
        ("export", "checkpoint", "best.ckpt"),
        ("evaluate", "weights", "best.ckpt"),
    ],
)
def test_a_run_folder_is_no_checkpoint(command: str, key: str, file: str, run: Path, tmp_path: Path) -> None:
    photo(tmp_path)
    given = ["input=photo.png"] if command == "upscale" else []
    result = run_here(command, f"{key}=r1", *given, cwd=tmp_path)
    fails(result, f"error: r1: is a folder; name a file, such as r1/checkpoints/{file}")
    result = run_here(command, f"{key}=r1/checkpoints", *given, cwd=tmp_path)
    fails(result, f"r1/checkpoints: is a folder; name a file, such as r1/checkpoints/{file}")


def test_a_run_folder_in_python(run: Path, tmp_path: Path) -> None:
    sentence = "r1: is a folder; name a file, such as .*r1/checkpoints/best.ckpt"
    for load in (sr.load, sr.from_pretrained, ESPCN.load_from_checkpoint):
        with pytest.raises(CheckpointError, match=sentence):
            load(run)
    with pytest.raises(CheckpointError, match=sentence):
        load_weights(ESPCN(scale=2), run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: is a folder; name a file$"):
        sr.load(tmp_path / "empty")


def typed_as_told(result: subprocess.CompletedProcess[str], cwd: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """What the command does when the words behind the last ``type`` or ``with:`` of its error are typed."""
    fails(result)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    words = shlex.split(re.split(r"\b(?:type|with):? ", line)[-1])
    if words[0] != "python":  # one argument instead of the one that was wrong
        words = ["python", "-m", f"sr_lightning.{result.args[0]}", *words]
    return run_here(words[2].removeprefix("sr_lightning."), *words[3:], *more, cwd=cwd)


@pytest.mark.parametrize(
    ("command", "typed", "more"),
    [
        ("train", ["espcn"], ["--cfg", "job"]),
        ("upscale", ["span"], ["photo.png", "-o", "out"]),
        ("upscale", ["photo.png,other.png"], []),
        ("upscale", [], ["photo.png"]),
        ("upscale", ["photo.png", "model=espcn,fsrcnn", "pattern=%name_%model"], []),
        ("evaluate", ["data.sets=[set5,set14"], ["--cfg", "job"]),
        ("evaluate", ["name=a{b"], ["--cfg", "job"]),
        ("train", ["trainer=gpu"], ["--cfg", "job"]),
        ("train", ["+loss=l1"], ["--cfg", "job"]),
    ],
)
def test_advice_works_when_it_is_typed(
    command: str, typed: list[str], more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("photo.png", "other.png"):
        photo(tmp_path, name)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    told = run_here(command, *typed, cwd=tmp_path)
    told.stderr = re.sub("; leave out the [+]: ", "; type ", told.stderr)
    told.stderr = re.sub(r", or install the build.*|PICTURE$", "", told.stderr)
    again = typed_as_told(told, tmp_path, *more)
    assert again.returncode == 0, again.stderr


def test_a_sweep_that_was_advised_has_all_runs(tmp_path: Path) -> None:
    photo(tmp_path)
    told = run_here("upscale", "photo.png", "model=espcn,fsrcnn", "pattern=%name_%model", "device=cpu", cwd=tmp_path)
    typed_as_told(told, tmp_path)
    assert {path.name for path in tmp_path.glob("photo_*")} == {"photo_espcn.png", "photo_fsrcnn.png"}


def test_several_inputs(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("a=b.png", "[1].png", "x,y.png", "more/c.png", "more/d.png"):
        photo(tmp_path, name)
    typed = ("a=b.png", "[1].png", "x,y.png", "more", "more/c.png", "model=bicubic", "--device", "cpu")
    result = run_here("upscale", *typed, "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    results = {"a=b_x2.png", "[1]_x2.png", "x,y_x2.png", "c_x2.png", "d_x2.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == results
    again = run_here("upscale", "more/c.png", "more/d.png", "model=bicubic", "device=cpu", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    files = sorted(f"more/{path.name}" for path in (tmp_path / "more").iterdir())
    assert len(files) == 4  # *.png of a shell now has results among it
    again = run_here("upscale", *files, "model=bicubic", "device=cpu", "overwrite=skip", cwd=tmp_path)
    assert again.returncode == 0 and "more/c.png and 3 more: skipped 2 results of the other pictures" in again.stderr
    twins = run_here("upscale", "a=b.png", "more/c.png", "pattern=same", "model=bicubic", "-o", "out", cwd=tmp_path)
    assert twins.returncode == 1 and "more/c.png: its result would have the name of that of a=b.png" in twins.stderr
    assert (tmp_path / "out/same.png").is_file()
    fails(run_here("upscale", "a=b.png", "none.png", cwd=tmp_path), "none.png: no such picture")


@pytest.mark.parametrize(("command", "typed"), [("upscale", "modle=span"), ("prepare", "degradatoin=bd")])
def test_a_group_that_is_null_is_suggested(command: str, typed: str, tmp_path: Path) -> None:
    group = {"modle=span": "'model'", "degradatoin=bd": "'degradation'"}[typed]
    fails(run_here(command, typed, cwd=tmp_path), f"did you mean {group}?")


def test_one_network_has_one_name(run: Path, tmp_path: Path) -> None:
    photo(tmp_path)
    typed = ["input=photo.png", "pattern=%name_%model_x%factor", "overwrite=true", "device=cpu"]
    for args, name in (
        ([], "photo_auto_x2.png"),
        (["model=span"], "photo_span_x2.png"),
        (["model=fsrcnn"], "photo_fsrcnn_x2.png"),
        (["checkpoint=r1/checkpoints/best.ckpt"], "photo_espcn_x2.png"),
        (["name=mine"], "photo_mine_x2.png"),
    ):
        result = run_here("upscale", *typed, *args, cwd=tmp_path)
        assert (result.stdout.strip(), result.returncode) == (name, 0), result.stderr


def test_results_named_by_a_checkpoints_network_are_results(tmp_path: Path) -> None:
    for name in ("photo.png", "photo_wdsr_x2.png", "photo_espcn_x2.png"):
        photo(tmp_path, name)
    jobs = find_jobs(compose("upscale", [f"input={tmp_path}", "pattern=%name_%model_x%factor"]))
    assert [job.source.name for job in jobs] == ["photo.png"]


def test_a_scale_without_weights_is_a_factor(tmp_path: Path) -> None:
    photo(tmp_path)
    for model in ([], ["model=span"]):
        result = run_here("upscale", "input=photo.png", "scale=5", *model, cwd=tmp_path)
        fails(result, "not for 5; say factor=5 instead")
    for scale in ("5", "2.5"):  # of which export makes no file, whatever its factor=
        result = run_here("export", f"scale={scale}", "format=safetensors", cwd=tmp_path)
        assert result.returncode == 1 and "factor" not in result.stderr, result.stderr
    result = run_here("upscale", "input=photo.png", "factor=5", "device=cpu", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_weights_of_another_scale_name_it(tmp_path: Path) -> None:
    torch.save(IMDN(scale=4).net.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"48x64x3x3 in the file and 27x64x3x3 here.*; try scale=4$"):
        load_weights(IMDN(scale=3), tmp_path / "weights.pth")
    torch.save(ESPCN(scale=2, num_features=64).net.state_dict(), tmp_path / "wide.pth")  # four times the features
    with pytest.raises(CheckpointError, match=r"more; leave model= out$"):
        load_weights(ESPCN(scale=2, num_features=16), tmp_path / "wide.pth")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other_x4.pth")
    with pytest.raises(CheckpointError, match=r"try scale=4$"):
        load_weights(ESPCN(scale=3), tmp_path / "other_x4.pth")
    with pytest.raises(CheckpointError, match=r"the network has no [a-z.]*other$"):
        load_weights(ESPCN(scale=4), tmp_path / "other_x4.pth")


def test_published_weights_of_another_scale_name_it(real_data: Path) -> None:
    for name in ("IMDN_x2", "IMDN_x4", "PAN_x4"):
        model = build(compose("evaluate", [f"model={name.partition('_')[0].lower()}", "scale=3"]).model)
        with pytest.raises(CheckpointError, match=f"try scale={name[-1]}$"):
            load_weights(model, real_data / f"weights/{name}.pth")


def test_folders_of_a_set_have_one_key(tmp_path: Path) -> None:
    result = run_here("prepare", "data=t91", cwd=tmp_path, SR_DATA="nowhere")
    fails(result, "nowhere/T91", "data_dir=FOLDER with T91 and Set5 in it")
    for name in ("T91", "Set5"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, (100, 100, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "mine" / name / f"{i}.png")
    result = run_here("prepare", "data=t91", "data_dir=mine", cwd=tmp_path, SR_DATA="nowhere")
    assert result.returncode == 0, result.stderr


def test_another_networks_checkpoint(run: Path, tmp_path: Path) -> None:
    OmegaConf.save(compose("train", TINY), run / "config.yaml", resolve=True)
    result = run_here("train", "ckpt_path=r1/checkpoints/last.ckpt", "model=fsrcnn", cwd=tmp_path)
    fails(result, "espcn.ESPCN, does not fit FSRCNN; leave model= out, or choose that of ESPCN")


def test_output_is_a_folder(tmp_path: Path) -> None:
    photo(tmp_path)
    sentence = "output=photo_x2.png: names a folder; results are named by pattern="
    fails(run_here("upscale", "input=photo.png", "output=photo_x2.png", cwd=tmp_path), sentence)
    photo(tmp_path, "photo_x2.png")
    fails(run_here("upscale", "input=photo.png", "output=photo_x2.png", cwd=tmp_path), sentence)


def test_equal_values_are_no_change(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    OmegaConf.save(compose("train", [*TINY, "learning_rate=1e-3"]), run / "config.yaml", resolve=True)
    checkpoint = f"ckpt_path={run}/checkpoints/last.ckpt"
    with_settings_of_run([checkpoint, "epochs=1", "learning_rate=0.001", "model=espcn"])
    assert "changed" not in capsys.readouterr().err
    kept = with_settings_of_run([checkpoint, "epochs=2", "model=fsrcnn"])
    said = capsys.readouterr().err
    assert "changed: epochs=2 (was 1) model=fsrcnn (was espcn);" in said
    assert "name=" not in said and compose("train", kept).name == "fsrcnn"


@pytest.mark.parametrize("value", ["@x", "%x", "*x", "`x", "!x"])
def test_values_that_yaml_cannot_read_are_values(
    value: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OmegaConf.save(compose("train", TINY), run / "config.yaml", resolve=True)
    with_settings_of_run([f"ckpt_path={run}/checkpoints/last.ckpt", f"name={value}"])
    assert f"changed: name={value} (was espcn);" in capsys.readouterr().err


def test_interpolation_counts_no_multiplications() -> None:
    from sr_lightning.models import SRCNN, Bicubic

    assert count_macs(Bicubic(scale=2)) == 0 and count_macs(SRCNN(scale=2)) > 1e9


def test_problems_are_counted_and_placed(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder("mine")
    shutil.copy(folder / "00.png", folder / "01.png")
    result = run_here("prepare", "data=folder", "data.hr_dir=mine", "data.num_val=2", "verify=true", cwd=tmp_path)
    assert result.stdout.endswith("\n1 problem\n"), result.stdout
    fails(result, "error: mine: has problems; they are listed above")


def test_without_validation_there_is_no_hint_of_the_libraries(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.h5", "w") as file:
        pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16), dtype=np.uint8)
        file["hr"], file["lr"] = pixels, pixels[:, ::2, ::2]
    result = run_here("train", *TINY, "data=hdf5", "data.file=set.h5", "run_dir=run", cwd=tmp_path)
    assert result.returncode == 0 and "HINT" not in result.stderr, result.stderr
    assert "there are no scores and no best.ckpt; the weights are in last.ckpt" in result.stdout
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["last.ckpt"]


def test_warnings_are_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.train.train", lambda _: warnings.warn("look", stacklevel=1))
    assert "warning: look\n" in run_here("train", cwd=tmp_path).stderr


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("[Errno -2] Name or service not known")

    monkeypatch.setattr(hub.HfApi, "create_repo", refuse)
    with pytest.raises(SRError, match=r"me/mine: the Hub refused the upload \(\[Errno -2\] Name or service"):
        sr.push_to_hub(ESPCN(scale=2), "me/mine")


def test_the_old_name_of_float32(tmp_path: Path) -> None:
    typed = ["model=bicubic", "format=safetensors", "output=a.safetensors"]
    result = run_here("export", *typed, "precision=fp32", cwd=tmp_path)
    assert result.returncode == 0 and "warning: precision=fp32 is called float32 now" in result.stderr, result.stderr
