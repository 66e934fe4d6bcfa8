"""Streaming from shards: every picture once, whoever delivers the batches, and any stop is resumed exactly."""

import io
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
import webdataset
from PIL import Image

from sr_lightning.data.patches.datamodule import PictureDataModule
from sr_lightning.data.patches.store import degraded_store, open_store
from sr_lightning.data.prepare import shard_writing
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.raw_synthesis import RawSynthesis
from sr_lightning.data.sets import shard_patches
from sr_lightning.data.sets.folder import Folder
from sr_lightning.data.sets.mixture import Mixture
from sr_lightning.data.sets.pair_list import PairList
from sr_lightning.data.sets.shard_files import expand, read_shard
from sr_lightning.data.sets.shard_index import scan_shard
from sr_lightning.data.sets.shard_order import ShardOrder
from sr_lightning.data.sets.shards import Shards
from sr_lightning.degradations import Compose, GaussianBlur, Noise, Subsample
from sr_lightning.errors import ConfigError, DataError, SRError

OPTIONS: dict[str, Any] = {"patch_size": 16, "batch_size": 4, "batches_per_epoch": 9, "num_workers": 0, "shuffle": 20}


@pytest.fixture
def make(shards: Path, tmp_path: Path) -> Callable[..., Shards]:
    return lambda **options: Shards(
        2, **{"urls": str(shards), "val_hr_dir": str(tmp_path / "pictures"), **OPTIONS, **options}
    )


def batches(data: Shards, start: int = 0, epoch: int = 0) -> list[Any]:
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "batch": start, "order": 2})
    return list(loader)


def same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x["name"] == y["name"] and torch.equal(x["hr"], y["hr"]) and torch.equal(x["lr"], y["lr"])
        for x, y in zip(a, b, strict=True)
    )


@dataclass
class Process:
    """Stands for Lightning's trainer in one of several processes."""

    global_rank: int
    world_size: int


def whole_batches(make: Any, world: int, workers: int, start: int = 0, **options: Any) -> list[Any]:
    """The global batches of an epoch, put together of what each process gets."""
    shares = []
    for rank in range(world):
        data = make(batch_size=4 // world, num_workers=workers, **options)
        data.trainer = Process(rank, world)
        shares.append(batches(data, start))
    return [
        {
            "name": [name for part in parts for name in part["name"]],
            "hr": torch.cat([part["hr"] for part in parts]),
            "lr": torch.cat([part["lr"] for part in parts]),
        }
        for parts in zip(*shares, strict=True)
    ]


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


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
def test_batches_depend_neither_on_workers_nor_on_processes(make: Any) -> None:
    alone = whole_batches(make, 1, 0)
    for world, workers in ((1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (4, 0)):
        assert same(whole_batches(make, world, workers), alone), (world, workers)


def test_resumes_to_the_same_bits_on_any_machines(make: Any) -> None:
    """Stopped after some batches, and gone on with by as many processes and workers as there are then."""
    alone = whole_batches(make, 1, 0)
    assert len(alone) == 9
    for start, world, workers in ((1, 1, 0), (4, 1, 2), (5, 2, 0), (8, 2, 1)):
        assert same(whole_batches(make, world, workers, start), alone[start:]), (start, world, workers)
    assert not same(batches(make(), epoch=1), alone)
    assert same(batches(make(), epoch=1), batches(make(num_workers=2), epoch=1))


def test_epochs_of_one_loader_follow_one_another(make: Any) -> None:
    """Loader processes stay, and learn of the epoch with each batch."""
    loader = make(num_workers=2).train_dataloader()
    for epoch in (0, 1, 2):
        loader.position.set_epoch(epoch)
        assert same(list(loader), batches(make(), epoch=epoch))


@pytest.mark.parametrize("shuffle", [1, 300])
def test_what_is_skipped_is_not_decoded(make: Any, shuffle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = shard_patches.decode_pair

    def counted(url: str, key: str, *args: Any) -> Any:
        decoded.append(key)
        return decode(url, key, *args)

    monkeypatch.setattr(shard_patches, "decode_pair", counted)
    options = {"batches_per_epoch": 48, "pool_mb": 0, "shuffle": shuffle}
    whole = batches(make(**options))
    # Each of the 24 visits of 8 patches decodes its picture once, and 12 places begin and end within one.
    assert len(decoded) <= (24 + 12) * (1 if shuffle == 1 else 2)
    decoded.clear()
    left = batches(make(**options), start=46)
    assert same(left, whole[46:])
    assert len(decoded) <= sum(len(batch["name"]) for batch in left) == 8
    decoded.clear()
    assert batches(make(**options), start=48) == [] and not decoded
    batches(make(batches_per_epoch=48))
    assert sorted(decoded) == sorted(f"{i:02d}" for i in range(12))  # in the pool from then on


@pytest.mark.parametrize("batch_size", [1, 4, 6, 64])
@pytest.mark.parametrize("readers", [1, 4])
def test_all_pictures_are_shown_before_any_returns(batch_size: int, readers: int) -> None:
    counts, per_picture, batches = [50, 0, 10, 70], 4, 2400 // batch_size
    order = ShardOrder(
        counts, batch_size=batch_size, batches=batches, per_picture=per_picture, readers=readers, shuffle=1, seed=1
    )
    shown: Counter[Any] = Counter()
    for batch in range(batches):
        for place in range(batch_size):
            visit, patch = order.at(0, batch, place)
            shown[visit.turn, visit.shard, visit.picture, patch] += 1
            assert order.batches_of(0, visit.key)[patch] == batch
    assert set(shown.values()) == {1}  # no patch twice
    pictures = {(shard, picture) for shard, count in enumerate(counts) for picture in range(count)}
    times = Counter((shard, picture) for _, shard, picture, _ in shown)
    assert set(times) == pictures and max(times.values()) - min(times.values()) <= 3 * per_picture
    rounds = batches // (order.lanes * per_picture)  # in which each place of each lane has shown a picture
    turns = rounds * order.lanes * order.places // -(-130 // order.readers)
    assert turns >= 2
    assert all({(s, p) for t, s, p, _ in shown if t == turn} == pictures for turn in range(turns))


def test_processes_and_workers_read_different_pictures() -> None:
    """As far as their numbers divide those of the readers and the lanes; and few shards at a time."""
    order = ShardOrder([20] * 60, batch_size=16, batches=192, per_picture=8, readers=8, shuffle=1, seed=1)
    assert (order.readers, order.lanes) == (8, 24)
    for world, workers in ((2, 1), (4, 2), (1, 3), (2, 4), (8, 8)):
        seen: Counter[Any] = Counter()
        for rank in range(world):
            places = range(rank * 16 // world, (rank + 1) * 16 // world)
            for worker in range(workers):
                mine = range(worker, 192, workers)
                visits = (order.at(0, batch, place)[0] for batch in mine for place in places)
                seen.update({(visit.turn, visit.shard, visit.picture) for visit in visits})
        assert set(seen.values()) == {1}, (world, workers)
    for begin in (0, 96, 168):
        shards = {order.at(0, batch, place)[0].shard for batch in range(begin, begin + 24) for place in range(16)}
        assert len(shards) <= 6 * order.readers  # 48 places of a reader, each in one of two rounds, of 20 in a shard
    assert all(len({order.at(0, batch, place)[0][1:] for place in range(16)}) == 16 for batch in range(192))


def test_pictures_are_decoded_at_an_even_rate() -> None:
    """A loader has few batches in advance: it would wait if all places began new pictures in one batch."""
    order = ShardOrder([100] * 9, batch_size=32, batches=960, per_picture=8, readers=8, shuffle=1, seed=1)
    for share in (range(32), range(16), range(16, 32)):
        begun, seen = [], set[Any]()
        for batch in range(960):
            keys = {order.step(0, batch, place)[0] for place in share} - seen
            begun.append(len(keys))
            seen |= keys
        assert max(begun[order.lanes :]) <= 2.5 * len(share) / 8


def test_old_checkpoints_are_read_with_a_warning(make: Any) -> None:
    loader = make().train_dataloader()
    loader.load_state_dict({"epoch": 1, "batch": 0})
    with pytest.warns(UserWarning, match="the checkpoint is of a version that ordered shards in another way"):
        loader.load_state_dict({"epoch": 1, "batch": 3})
    assert same(list(loader), batches(make(), 3, 1))
    with pytest.raises(ValueError, match="no place in the data"):
        loader.load_state_dict({"epoch": 1, "batch": -1})


def test_patches_are_aligned(make: Any) -> None:
    pictures = {name: (hr, lr) for url in make().urls for name, hr, lr in read_shard(url, 2)}
    for batch in batches(make(augment=False)):
        for name, hr, lr in zip(batch["name"], batch["hr"].numpy(), batch["lr"].numpy(), strict=True):
            whole_hr, whole_lr = pictures[name]
            windows = np.lib.stride_tricks.sliding_window_view(whole_lr, lr.shape)[0]
            places = np.argwhere((windows == lr).all(axis=(2, 3, 4)))
            assert any(np.array_equal(whole_hr[:, 2 * y : 2 * y + 16, 2 * x : 2 * x + 16], hr) for y, x in places)


def test_state_counts_what_was_delivered(make: Any) -> None:
    loader = make(num_workers=2).train_dataloader()
    iterator = iter(loader)
    next(iterator), next(iterator), next(iterator)
    assert loader.state_dict() == {"epoch": 0, "batch": 3, "order": 2}
    loader.position.set_epoch(1)  # as Lightning does
    assert loader.state_dict() == {"epoch": 1, "batch": 0, "order": 2}


def test_a_shard_cut_anywhere_is_refused(shards: Path, tmp_path: Path) -> None:
    content = (shards / "train-000000.tar").read_bytes()
    end = 1024 + 512 * next(i for i in range(len(content)) if not any(content[512 * i : 512 * i + 1024]))
    cut = tmp_path / "cut.tar"
    for size in sorted({*range(0, end, 512), *range(100, end, 1111), end - 1}):
        cut.write_bytes(content[:size])
        for work in (scan_shard, lambda url: list(read_shard(url, 2))):
            with pytest.raises(DataError, match=r"cut.tar: cannot be read as a tar file \(\w"):
                work(str(cut))
    for size in range(end, len(content), 512):  # the marker is whole: what follows only fills the last record
        cut.write_bytes(content[:size])
        assert [pair[0] for pair in read_shard(str(cut), 2)] == ["00", "01"]


def test_a_damaged_header_is_no_end(shards: Path, tmp_path: Path) -> None:
    content = bytearray((shards / "train-000000.tar").read_bytes())
    with tarfile.open(shards / "train-000000.tar") as tar:
        content[tar.getmembers()[2].offset] ^= 1
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"bad.tar: cannot be read as a tar file \(bad checksum"):
        list(read_shard(str(tmp_path / "bad.tar"), 2))


def test_one_name_twice_in_a_shard(shards: Path, tmp_path: Path) -> None:
    with tarfile.open(shards / "train-000000.tar") as whole, tarfile.open(tmp_path / "two.tar", "w") as two:
        for member in whole.getmembers()[:2] * 2:
            two.addfile(member, whole.extractfile(member))
    with pytest.raises(DataError, match=r"two.tar: 00 has more than one member hr"):
        list(read_shard(str(tmp_path / "two.tar"), 2))


def test_shards_without_pictures_end_the_run(make: Any, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("a.tar", "b.tar"):
        tarfile.open(tmp_path / "empty" / name, "w").close()
    with pytest.raises(DataError, match=r"a.tar and 1 other shards: they hold no pictures"):
        next(iter(make(urls=str(tmp_path / "empty")).train_dataloader()))
    beside = make(urls=[str(tmp_path / "empty"), str(shards / "train-000000.tar")])
    assert {name for batch in batches(beside) for name in batch["name"]} == {"00", "01"}


def test_an_error_in_a_worker_is_one_sentence(make: Any, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader: Any = make(num_workers=2).train_dataloader()
    for path in shards.glob("*.tar"):
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"^\S*train-00000\d.tar: \d\d is not where the index says \(.*\); remove .*$"):
        next(iter(loader))
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)  # or torch waits for each of them
    loader._iterator._shutdown_workers()
    with pytest.raises(DataError, match=r"^\S*train-00000\d.tar: cannot be read as a tar file \([\w ]*\)$"):
        make(num_workers=2).train_dataloader()


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
    shards[1].rename(shards[1].with_name(".train-000001-123-0123abcd.tar"))
    kept = shards[0].stat().st_mtime_ns
    assert len(expand(str(tmp_path / "out"))) == 2  # what a killed run left is no shard
    assert write_shards(data, tmp_path / "out", 2) == shards
    assert shards[0].stat().st_mtime_ns == kept
    assert [path.read_bytes() for path in shards] == contents
    names = [name for shard in shards for name in (shard.name, f"{shard.name}.index.json")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shards.json", *names]
    with pytest.raises(ConfigError, match="holds shards of other pictures"):
        write_shards(data, tmp_path / "out", 3)


def test_a_shard_that_lacks_pictures_is_written_anew(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = Folder(2, hr_dir=str(picture_folder(count=7)), num_val=1)
    shards = write_shards(data, tmp_path / "out", 3)
    content = shards[0].read_bytes()
    with tarfile.open(shards[0]) as whole, tarfile.open(tmp_path / "less.tar", "w") as less:
        for member in whole.getmembers()[:2]:
            less.addfile(member, whole.extractfile(member))
    for damaged in ((tmp_path / "less.tar").read_bytes(), content[:5000], content[: len(content) // 2], b""):
        shards[0].write_bytes(damaged)
        write_shards(data, tmp_path / "out", 3)
        assert shards[0].read_bytes() == content


def test_two_processes_write_the_same_shards_and_one_is_killed(
    picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins while this one is in the middle of a shard, writes all of them, and this one dies."""
    data = Folder(2, hr_dir=str(picture_folder(count=7)), num_val=1)
    expected = [path.read_bytes() for path in write_shards(data, tmp_path / "alone", 3)]
    read, calls = shard_writing.read_picture, []

    def overtaken(path: Path) -> Any:
        calls.append(path)
        if len(calls) == 2:
            write_shards(data, tmp_path / "out", 3)
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(shard_writing, "read_picture", overtaken)
    with pytest.raises(KeyboardInterrupt):
        write_shards(data, tmp_path / "out", 3)
    assert [path.read_bytes() for path in sorted((tmp_path / "out").glob("*.tar"))] == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"urls": None}, "data=shards needs data.urls"),
        ({"urls": "/nowhere"}, "/nowhere: no folder with shards"),
        ({"patch_size": 15}, "data.patch_size=15"),
        ({"shuffle": 0}, "data.shuffle=0"),
        ({"readers": 0}, "data.readers=0"),
        ({"cache_gb": 0}, "data.cache_gb=0"),
        ({"pool_mb": -1}, "data.pool_mb=-1"),
        ({"scales": [2, 4]}, r"data.scales=\[2, 4\]: shards are read at one scale"),
    ],
)
def test_wrong_options(make: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(SRError, match=reason):
        make(**options).train_dataloader()


def written(data: PictureDataModule, folder: Path, scale: int = 2) -> dict[str, Any]:
    return {name: (hr, lr) for url in write_shards(data, folder, 4) for name, hr, lr in read_shard(str(url), scale)}


def test_lr_is_made_by_the_degradation(picture_folder: Callable[..., Path], tmp_path: Path, cache: Path) -> None:
    folder = picture_folder(size=(61, 73))
    degradation = Compose([GaussianBlur(1.6, size=7), Subsample()])
    pairs = written(Folder(2, hr_dir=str(folder), num_val=1, degradation=degradation), tmp_path / "out")
    trained_on = degraded_store(open_store(sorted(folder.iterdir())[:5], cache), degradation, 2, cache)
    assert list(pairs) == trained_on.names
    for (_, lr), wanted in zip(pairs.values(), trained_on.pictures, strict=True):
        assert np.array_equal(lr, wanted)
    with pytest.raises(ConfigError, match="another scale, shard_size or degradation"):
        write_shards(Folder(2, hr_dir=str(folder), num_val=1), tmp_path / "out", 4)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"degradation": Compose([Subsample(), Noise(30)], name="dn")}, "degradation=dn is drawn anew for each patch"),
        ({"transform": [albumentations.HorizontalFlip(p=0.5)]}, "data.transform changes patches"),
        ({"augment": "lapsrn"}, "data.augment=lapsrn trains at six sizes"),
    ],
)
def test_what_shards_cannot_hold(
    picture_folder: Callable[..., Path], tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    data = Folder(2, hr_dir=str(picture_folder()), num_val=1, **options)
    with pytest.raises(ConfigError, match=reason):
        write_shards(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_photographs_are_not_written_as_bicubic_pairs(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RawSynthesis is no set of picture files"):
        write_shards(RawSynthesis(2, hr_dir=str(picture_folder()), num_val=1), tmp_path / "out")


def test_a_rerun_with_other_lr_or_changed_pictures(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    hr, lr, other = picture_folder(), picture_folder("lr", size=(30, 36)), picture_folder("other", size=(30, 36))

    def data(lr_dir: Path) -> Folder:
        return Folder(2, hr_dir=str(hr), lr_dir=str(lr_dir), num_val=1)

    write_shards(data(lr), tmp_path / "out", 2)
    write_shards(data(lr), tmp_path / "out", 2)
    with pytest.raises(ConfigError, match="holds shards of other pictures"):
        write_shards(data(other), tmp_path / "out", 2)
    (hr / "00.png").write_bytes((hr / "00.png").read_bytes())
    with pytest.raises(ConfigError, match="or of pictures that have changed"):
        write_shards(data(lr), tmp_path / "out", 2)


def test_pictures_of_one_name_are_told_apart(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    a, b = picture_folder("A", count=2), picture_folder("B", count=1)
    (a / "01.png").rename(a / "x.y.png")
    (tmp_path / "list.json").write_text('[{"HR": "A/00.png"}, {"HR": "B/00.png"}, {"HR": "A/x.y.png"}]')
    pairs = written(PairList(2, train_list=str(tmp_path / "list.json")), tmp_path / "out")
    assert list(pairs) == ["000000_00", "000001_00", "000002_x_y"]
    (b / "00.png").rename(b / "x_y.png")
    (tmp_path / "list.json").write_text('[{"HR": "B/x_y.png"}, {"HR": "A/x.y.png"}]')
    pairs = written(PairList(2, train_list=str(tmp_path / "list.json")), tmp_path / "two")
    for (hr, _), path in zip(pairs.values(), (b / "x_y.png", a / "x.y.png"), strict=True):
        assert np.array_equal(hr.transpose(1, 2, 0), np.array(Image.open(path)))


def test_mixtures_are_written_part_by_part(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    a, b, lr = picture_folder("A", count=3), picture_folder("B", count=3), picture_folder("LR", 3, (30, 36))
    sets = {
        "a": Folder(4, hr_dir=str(a), num_val=1),
        "b": Folder(4, hr_dir=str(b), lr_dir=str(lr), num_val=1),
    }
    pairs = written(Mixture(2, sets), tmp_path / "out")
    assert list(pairs) == ["000000_00", "000001_01", "000002_00", "000003_01"]
    assert np.array_equal(pairs["000003_01"][1].transpose(1, 2, 0), np.array(Image.open(lr / "01.png")))
    with pytest.raises(ConfigError, match=r"data.sets, b: RawSynthesis is no set"):
        synthesis = RawSynthesis(2, hr_dir=str(b), num_val=1)
        write_shards(Mixture(2, {"a": sets["a"], "b": synthesis}), tmp_path / "two")


def test_every_scale_has_its_lr(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = Folder(2, hr_dir=str(picture_folder()), num_val=1, scales=[2, 3])
    for url in write_shards(data, tmp_path / "out"):
        with tarfile.open(url) as tar:
            assert tar.getnames()[:3] == ["00.hr.png", "00.lr_x2.png", "00.lr_x3.png"]
