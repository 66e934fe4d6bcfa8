"""What disks and shared memory refuse ends as one sentence, before anything hangs."""

import errno
import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.config import compose
from sr_lightning.data import HDF5, T91, Benchmarks, Folder, PairList, RawSynthesis
from sr_lightning.data.files import disk as module
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.prepare.verify import verify
from sr_lightning.data.sets.shards import Shards
from sr_lightning.errors import ConfigError, DataError, SRError
from sr_lightning.prepare import prepare

LONG = "x" * 300
OPTIONS: dict[str, Any] = {"patch_size": 16, "batch_size": 4, "batches_per_epoch": 3}


@pytest.mark.parametrize(
    "make",
    [
        lambda good: Folder(2, LONG),
        lambda good: Folder(2, good, val_hr_dir=LONG, patch_size=16),
        lambda good: Folder(2, good, LONG, patch_size=16),
        lambda good: T91(2, LONG),
        lambda good: Benchmarks(2, LONG),
        lambda good: PairList(2, f"{LONG}.json"),
        lambda good: HDF5(2, f"{LONG}.h5"),
        lambda good: RawSynthesis(2, LONG),
        lambda good: Shards(2, LONG, good),
        lambda good: Folder(2, good, cache_dir=f"{good}/{LONG}"),
    ],
)
def test_names_that_are_too_long(make: Callable[[str], Any], picture_folder: Callable[..., Path]) -> None:
    with pytest.raises(SRError, match=r"File name too long|no such|no folder") as caught:
        make(str(picture_folder())).setup("fit" if "Bench" not in str(make) else "test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        ["output_hr=" + LONG, "output_lr=b"],
        ["use_h5py=true", f"output={LONG}.h5"],
        ["output_hr=a", "output_lr=b", f"input={LONG}"],
    ],
)
def test_cutting_to_names_that_are_too_long(
    keys: list[str], picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = picture_folder()
    monkeypatch.chdir(tmp_path)
    window = ["width=12", "height=12", "stride=12"]
    with pytest.raises(DataError, match="File name too long"):
        prepare(compose("prepare", [f"input={folder}", *window, *keys]))


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENAMETOOLONG])
def test_folders_that_cannot_be_read(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    data = Folder(2, str(tmp_path))
    for work in (lambda: find_pictures(tmp_path), lambda: data.setup("fit"), lambda: verify(data)):
        with pytest.raises(DataError, match=rf"^{tmp_path}: cannot be used \({os.strerror(code)}\); \w+"):
            work()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_shards_on_a_disk_that_fails(
    code: int, picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    data = Folder(2, str(picture_folder()), num_val=1)
    monkeypatch.setattr("tarfile.TarFile.addfile", refuse)
    with pytest.raises(DataError, match=rf"out: .*{os.strerror(code)}"):
        write_shards(data, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shards.json"]


@pytest.mark.parametrize("message", ["Can't write data (errno = 28, error message = 'No space left on device')"])
@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_hdf5_on_a_full_disk(
    kind: type[Exception],
    message: str,
    picture_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind(message)

    monkeypatch.setattr("h5py.File", refuse)
    keys = [f"input={picture_folder()}", "use_h5py=true", f"output={tmp_path / 'x.h5'}", "width=12", "height=12"]
    with pytest.raises(DataError, match=r"x\.h5: the disk is full; free space and run again"):
        prepare(compose("prepare", [*keys, "stride=12"]))


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("shards", [False, True])
def test_little_shared_memory_is_told_before_workers_start(
    shards: bool, picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker gives 64 MB, some clusters 64 kB: workers would wait for ever."""
    folder = str(picture_folder())
    plain = Folder(2, folder, num_val=1, num_workers=1, **OPTIONS)
    data: Any = plain
    if shards:
        write_shards(plain, tmp_path / "out", 2)
        data = Shards(2, str(tmp_path / "out"), folder, num_workers=1, **OPTIONS)
    data.setup("fit")
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(65536, 60000, 5536))
    loader = data.train_dataloader()
    with pytest.raises(ConfigError, match=r"data\.num_workers=1: .* need 0\.0 MB of .* use data\.num_workers=0"):
        next(iter(loader))
    assert getattr(loader, "_iterator", None) is None  # no process was started
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 0, 2**30))
    assert len(next(iter(loader))["name"]) == 4


def test_without_workers_no_shared_memory_is_needed(
    picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    data = Folder(2, str(picture_folder()), num_val=1, num_workers=0, **OPTIONS)
    data.setup("fit")
    assert len(list(data.train_dataloader())) == 3
