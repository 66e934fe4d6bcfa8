"""Cutting as a user types it: a preset, its end by force, and the rerun."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from running import Forked, fails, run_here
from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.prepare import prepare

WINDOW = (
    "use_h5py=true",
    "width=20",
    "height=20",
    "stride=4",
    "upscale_factor=[2,4]",
    "same_size=true",
    "single_y=true",
)


def test_a_preset_takes_any_folder(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    picture_folder("mine", count=2)
    result = run_here("prepare", "preset=fsrcnn", "input=mine", "output=new/set.h5", "upscale_factor=3", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "set.h5: 5520 patches of 2 pictures, lr 7x7, hr 21x21" in result.stdout
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.h5"]
    again = run_here("prepare", "preset=fsrcnn", "input=mine", "output=new/set.h5", "upscale_factor=3", cwd=tmp_path)
    assert "holds these 5520 patches already" in again.stdout
    fails(
        run_here("prepare", "preset=fsrcnn", "input=mine", "output=new/set.h5", cwd=tmp_path),
        "new/set.h5",
        "something else",
    )


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    fails(run_here("prepare", "preset=fsrcn", cwd=tmp_path), "preset=fsrcn", "'fsrcnn'")
    fails(
        run_here("prepare", "preset=vdsr", "output=set.h5", cwd=tmp_path, SR_DATA="nowhere"),
        "nowhere/T91",
        "no such folder",
    )


def test_killed_without_warning(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """SIGKILL in the middle, at any moment: no file of the final name, and the rerun gives what one run gives."""
    picture_folder("many", count=40, size=(150, 180))
    process = Forked(
        "from sr_lightning.prepare import main; main()", "input=many", "output=set.h5", *WINDOW, cwd=tmp_path
    )
    records = tmp_path / "set.h5.part/records.bin"
    while process.poll() is None and not (records.exists() and records.stat().st_size > 1 << 20):
        time.sleep(0.01)
    if process.poll() is not None:
        pytest.skip("this machine was done before it could be stopped")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in tmp_path.glob("set.h5*")] == ["set.h5.part"]
    for output in ("set.h5", "whole.h5"):
        result = run_here("prepare", "input=many", f"output={output}", *WINDOW, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    with h5py.File(tmp_path / "set.h5") as one, h5py.File(tmp_path / "whole.h5") as other:
        assert len(one["hr"]) == 40 * (33 * 41 + 33 * 41)
        for key in ("lr", "hr"):
            np.testing.assert_array_equal(one[key][:], other[key][:])


def test_verify_reports_and_fails_on_problems(
    picture_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = picture_folder()
    overrides = ["data=folder", f"data.hr_dir={folder}", "data.num_val=2", "verify=true"]
    prepare(compose("prepare", overrides))
    out = capsys.readouterr().out
    assert "training: 4 pictures, 60x72 to 60x72 pixels" in out and "no problems" in out
    shutil.copy(folder / "00.png", folder / "05.png")
    with pytest.raises(DataError, match=f"{folder}: has problems"):
        prepare(compose("prepare", overrides))
    assert f"{folder / '05.png'}: the same picture as {folder / '00.png'}" in capsys.readouterr().out


def test_verify_looks_at_the_patches_of_a_file(
    picture_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["data=hdf5", f"data.file={tmp_path / 'no.h5'}", f"data.val_hr_dir={picture_folder()}", "verify=true"]
    with pytest.raises(DataError, match=r"no\.h5: has problems"):
        prepare(compose("prepare", overrides))
    assert f"problem: {tmp_path / 'no.h5'}: no such file" in capsys.readouterr().out


def test_shards_take_the_degradation(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    overrides = ["data=folder", f"data.hr_dir={picture_folder()}", f"shards={tmp_path / 'shards'}"]
    with pytest.raises(ConfigError, match="degradation=dn is drawn anew"):
        prepare(compose("prepare", [*overrides, "degradation=dn"]))
    prepare(compose("prepare", [*overrides, "degradation=bd"]))
    assert '"degradation": "GaussianBlur"' in (tmp_path / "shards" / "shards.json").read_text()


def test_shards_are_written_and_read(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, shards = picture_folder(), tmp_path / "shards"
    overrides = ["data=folder", f"data.hr_dir={folder}", "data.num_val=2", f"shards={shards}", "shard_size=3"]
    prepare(compose("prepare", overrides))
    assert [path.name for path in sorted(shards.glob("*.tar"))] == ["train-000000.tar", "train-000001.tar"]
    data = prepare(
        compose("prepare", ["data=shards", f"data.urls={shards}", f"data.val_hr_dir={folder}", "data.patch_size=16"])
    )
    assert next(iter(data.train_dataloader()))["hr"].shape == (16, 3, 16, 16)
