"""Streaming from shards: every picture once, no reader repeats another's, any stop is resumed exactly."""

import http.server
import io
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image

from sr_lightning.data.folder import Folder
from sr_lightning.data.shard_files import read_shard, write_shards
from sr_lightning.data.shards import Shards, ShardStream
from sr_lightning.errors import ConfigError, DataError, SRError

OPTIONS: dict[str, Any] = {"patch_size": 16, "batch_size": 4, "batches_per_epoch": 9, "num_workers": 0, "shuffle": 20}


@pytest.fixture
def shards(picture_folder: Callable[..., Path], tmp_path: Path) -> Path:
    data = Folder(2, hr_dir=str(picture_folder(count=13)), num_val=1)
    write_shards(data, tmp_path / "shards", shard_size=2)
    return tmp_path / "shards"


@pytest.fixture
def make(shards: Path, tmp_path: Path) -> Callable[..., Shards]:
    return lambda **options: Shards(
        2, **{"urls": str(shards), "val_hr_dir": str(tmp_path / "pictures"), **OPTIONS, **options}
    )


@pytest.fixture
def server(shards: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shards))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def batches(data: Shards, start: int = 0, epoch: int = 0) -> list[Any]:
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "batch": start})
    return list(loader)


def same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x["name"] == y["name"] and torch.equal(x["hr"], y["hr"]) and torch.equal(x["lr"], y["lr"])
        for x, y in zip(a, b, strict=True)
    )


def test_webdataset_reads_what_is_written(shards: Path) -> None:
    urls = sorted(str(path) for path in shards.glob("*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == [f"{i:02d}" for i in range(12)]
    ours = [pair for url in urls for pair in read_shard(url, 2)]
    for sample, (_, hr, lr) in zip(samples, ours, strict=True):
        assert np.array_equal(np.array(Image.open(io.BytesIO(sample["hr.png"]))).transpose(2, 0, 1), hr)
        assert np.array_equal(np.array(Image.open(io.BytesIO(sample["lr_x2.png"]))).transpose(2, 0, 1), lr)


def test_missing_lr_is_made(shards: Path, tmp_path: Path) -> None:
    with tarfile.open(shards / "train-000000.tar") as whole, tarfile.open(tmp_path / "hr.tar", "w") as part:
        for member in whole:
            if "hr" in member.name:
                part.addfile(member, whole.extractfile(member))
    for (_, _, given), (_, _, made) in zip(
        read_shard(str(shards / "train-000000.tar"), 2), read_shard(str(tmp_path / "hr.tar"), 2), strict=True
    ):
        assert np.array_equal(given, made)


@pytest.mark.parametrize(("world_size", "workers"), [(1, 1), (1, 2), (2, 3)])
def test_readers_share_the_pictures_without_repeats(make: Any, world_size: int, workers: int) -> None:
    stream = ShardStream(make(), 0, world_size)
    readers = world_size * workers
    seen: Counter[str] = Counter()
    for reader in range(readers):
        pictures = stream.pictures(reader, readers)
        seen.update(next(pictures)[0] for _ in range(2 * len(stream.urls[reader::readers])))
    assert seen == Counter({f"{i:02d}": 1 for i in range(12)})


def test_patches_are_aligned(make: Any) -> None:
    pictures = {name: (hr, lr) for url in make().urls for name, hr, lr in read_shard(url, 2)}
    for batch in batches(make(augment=False)):
        for name, hr, lr in zip(batch["name"], batch["hr"].numpy(), batch["lr"].numpy(), strict=True):
            whole_hr, whole_lr = pictures[name]
            windows = np.lib.stride_tricks.sliding_window_view(whole_lr, lr.shape)[0]
            places = np.argwhere((windows == lr).all(axis=(2, 3, 4)))
            assert any(np.array_equal(whole_hr[:, 2 * y : 2 * y + 16, 2 * x : 2 * x + 16], hr) for y, x in places)


@pytest.mark.parametrize("workers", [0, 2])
def test_resumes_to_the_same_bits(make: Any, workers: int) -> None:
    whole = batches(make(num_workers=workers))
    assert len(whole) == 9
    for start in (1, 4, 5):
        assert same(batches(make(num_workers=workers), start), whole[start:])
    assert not same(batches(make(num_workers=workers), epoch=1), whole)


def test_state_counts_what_was_delivered(make: Any) -> None:
    loader = make(num_workers=2).train_dataloader()
    iterator = iter(loader)
    next(iterator), next(iterator), next(iterator)
    assert loader.state_dict() == {"epoch": 0, "batch": 3}
    loader.set_epoch(1)
    assert loader.state_dict() == {"epoch": 1, "batch": 0}


def test_streams_over_http(make: Any, server: str) -> None:
    remote = make(urls=server + "/train-{000000..000005}.tar")
    assert same(batches(remote), batches(make()))


def test_broken_connections_are_taken_up_again(
    make: Any, server: str, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def breaking(url: str) -> Any:
        opened.append(url)
        content = (shards / url.rpartition("/")[2]).read_bytes()
        return io.BytesIO(content[: len(content) * len(opened) // 3])

    monkeypatch.setattr("sr_lightning.data.shard_files._open", breaking)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert [pair[0] for pair in read_shard(server + "/train-000000.tar", 2)] == ["00", "01"]
    assert len(opened) == 3


def test_http_errors_are_one_sentence(make: Any, server: str) -> None:
    with pytest.raises(DataError, match=r"train-000099.tar: cannot be read as a tar file \(File not found\)"):
        list(read_shard(server + "/train-000099.tar", 2))


def test_truncated_shard(shards: Path) -> None:
    path = shards / "train-000000.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"train-000000.tar: cannot be read as a tar file"):
        list(read_shard(str(path), 2))


def test_damaged_picture_in_a_shard(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("x.hr.png")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"oops"))
    with pytest.raises(DataError, match=r"a.tar: x: not a picture"):
        list(read_shard(str(tmp_path / "a.tar"), 2))


def test_killed_writing_goes_on(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = Folder(2, hr_dir=str(picture_folder()), num_val=1)
    shards = write_shards(data, tmp_path / "out", 2)
    contents = [path.read_bytes() for path in shards]
    shards[1].rename(shards[1].with_suffix(".part"))
    kept = shards[0].stat().st_mtime_ns
    assert write_shards(data, tmp_path / "out", 2) == shards
    assert shards[0].stat().st_mtime_ns == kept
    assert [path.read_bytes() for path in shards] == contents
    assert not list((tmp_path / "out").glob("*.part"))
    with pytest.raises(ConfigError, match="holds shards of other pictures or another scale"):
        write_shards(data, tmp_path / "out", 3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"urls": None}, "data=shards needs data.urls"),
        ({"urls": "/nowhere"}, "/nowhere: no folder with shards"),
        ({"num_workers": 7}, "6 shards cannot be divided among 7 readers"),
        ({"patch_size": 15}, "data.patch_size=15"),
        ({"shuffle": 0}, "data.shuffle=0"),
    ],
)
def test_wrong_options(make: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(SRError, match=reason):
        make(**options).train_dataloader()
