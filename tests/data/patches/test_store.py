"""A store is whole or absent, never stale, and made once, whatever is killed, races or breaks."""

import errno
import io
import multiprocessing
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.atomic import locked
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.patches import store as module
from sr_lightning.data.patches.contents import checksum
from sr_lightning.data.patches.store import Store, bicubic_store, open_store
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional import imresize

SIZES = [(20, 24), (17, 31), (40, 12), (13, 13)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four uncompressed pictures of random pixels, the last one grey."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i, size in enumerate(SIZES):
        shape = size if i == 3 else (*size, 3)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i}.bmp")
    return find_pictures(folder)


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """A cache of this test's own, still absent."""
    return tmp_path / "stores"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that have been decoded."""
    names: list[str] = []
    read = module.read_picture

    def count(path: Path) -> Any:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(module, "read_picture", count)
    return names


def holds(store: Store, files: Sequence[Path]) -> bool:
    """Whether the store's pictures are those of the files, by Pillow's reading."""
    expected = [np.asarray(Image.open(path)) for path in files]
    planar = [pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1) for pixels in expected]
    return store.names == [path.stem for path in files] and all(
        np.array_equal(picture, pixels) for picture, pixels in zip(store, planar, strict=True)
    )


def debris(stores: Path) -> list[str]:
    return [path.name for path in stores.glob("**/*") if path.name.startswith(".") or path.suffix == ".tmp"]


def repaint(path: Path, value: int) -> None:
    """Another picture in a file of the same size, at the same recorded time."""
    before = path.stat()
    pixels = np.full_like(np.asarray(Image.open(path)), value)
    Image.fromarray(pixels).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns


# --- built once, never stale ------------------------------------------------------------------------------------------


def test_pictures_and_names(files: list[Path], stores: Path) -> None:
    store = open_store(files, stores)
    assert holds(store, files)
    assert store.shapes == [(3, 20, 24), (3, 17, 31), (3, 40, 12), (1, 13, 13)]
    assert len(store) == 4 and store[-1].shape == (1, 13, 13)
    assert not debris(stores)


def test_built_once(files: list[Path], stores: Path, decoded: list[str]) -> None:
    open_store(files, stores)
    assert sorted(decoded) == ["0.bmp", "1.bmp", "2.bmp", "3.bmp"]
    decoded.clear()
    assert holds(open_store(files, stores), files)
    assert not decoded


def test_order_of_the_files_is_kept(files: list[Path], stores: Path) -> None:
    assert holds(open_store(files[::-1], stores), files[::-1])
    assert holds(open_store(files[1:3], stores), files[1:3])


def test_touched_files_are_not_decoded_again(files: list[Path], stores: Path, decoded: list[str]) -> None:
    open_store(files, stores)
    decoded.clear()
    os.utime(files[0], (1, 1))
    assert holds(open_store(files, stores), files)
    assert not decoded


def test_moved_files_are_not_decoded_again(files: list[Path], stores: Path, decoded: list[str]) -> None:
    open_store(files, stores)
    decoded.clear()
    moved = find_pictures(files[0].parent.rename(files[0].parents[1] / "elsewhere"))
    assert holds(open_store(moved, stores), moved)
    assert not decoded


@pytest.mark.parametrize("same_time", [False, True])
def test_changed_file_of_the_same_size(same_time: bool, files: list[Path], stores: Path) -> None:
    old = open_store(files, stores)
    repaint(files[1], 7)
    if not same_time:
        os.utime(files[1])
    new = open_store(files, stores)
    assert holds(new, files)
    assert (new[1] == 7).all() and (old[1] != 7).any()


def test_renamed_file(files: list[Path], stores: Path) -> None:
    open_store(files, stores)
    files[0] = files[0].rename(files[0].with_stem("new"))
    assert open_store(files, stores).names[0] == "new"


def test_grey_as_three_channels(files: list[Path], stores: Path) -> None:
    kept, colour = open_store(files, stores), open_store(files, stores, channels=3)
    assert kept.folder != colour.folder
    assert [shape[0] for shape in colour.shapes] == [3, 3, 3, 3]
    assert all(np.array_equal(channel, kept[3][0]) for channel in colour[3])
    assert holds(open_store(files, stores), files)


def test_16_bit_pictures_are_kept(tmp_path: Path, stores: Path) -> None:
    levels = np.array([[0, 128, 129, 385, 386, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    store = open_store([tmp_path / "x.png"], stores)
    assert store.dtype == np.uint16
    np.testing.assert_array_equal(store[0], [levels])


def test_one_picture_of_16_bit_brings_all_to_16(files: list[Path], stores: Path, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (9, 9), dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    eight, store = open_store(files, stores), open_store([*files, tmp_path / "deep.png"], stores)
    assert eight.dtype == np.uint8 and store.dtype == np.uint16
    np.testing.assert_array_equal(store[-1], [levels])
    np.testing.assert_array_equal(store[0], eight[0].astype(int) * 257)
    assert not debris(stores)


def test_more_pictures_than_are_decoded_at_a_time(tmp_path: Path, stores: Path) -> None:
    for i in range(37):
        Image.fromarray(np.full((2, 3, 3), i, dtype=np.uint8)).save(tmp_path / f"{i:02d}.png")
    store = open_store(find_pictures(tmp_path), stores)
    assert [int(picture[0, 0, 0]) for picture in store] == list(range(37))


@pytest.mark.parametrize("memory", ["", "short", None])
def test_damaged_memory_of_contents(memory: str | None, files: list[Path], stores: Path, decoded: list[str]) -> None:
    open_store(files, stores)
    (note,) = (stores / "known").iterdir()
    if memory is None:
        note.unlink()
        note.mkdir()
    else:
        note.write_text(memory)
    decoded.clear()
    assert holds(open_store(files, stores), files)
    assert not decoded


# --- read-only, shared ------------------------------------------------------------------------------------------------


def test_pictures_are_read_only(files: list[Path], stores: Path) -> None:
    for store in (open_store(files, stores), bicubic_store(open_store(files, stores), 2, stores)):
        for picture in store:
            with pytest.raises(ValueError, match="read-only"):
                picture[0, 0, 0] = 1
            with pytest.raises(ValueError, match="WRITEABLE"):
                picture.setflags(write=True)


def test_pickled_store_is_small_and_the_same(files: list[Path], stores: Path) -> None:
    store = open_store(files, stores)
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert holds(pickle.loads(data), files)


# --- damaged stores ---------------------------------------------------------------------------------------------------


def _cut(folder: Path) -> None:
    pixels = folder / "pixels.bin"
    pixels.write_bytes(pixels.read_bytes()[:-100])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "pixels cut": _cut,
    "pixels empty": lambda folder: (folder / "pixels.bin").write_bytes(b""),
    "pixels missing": lambda folder: (folder / "pixels.bin").unlink(),
    "index missing": lambda folder: (folder / "index.json").unlink(),
    "index empty": lambda folder: (folder / "index.json").write_text(""),
    "index garbage": lambda folder: (folder / "index.json").write_bytes(b"\xff\x00garbage"),
    "index a list": lambda folder: (folder / "index.json").write_text("[1, 2]"),
    "index without shapes": lambda folder: (folder / "index.json").write_text('{"names": []}'),
    "index with bad shapes": lambda folder: (folder / "index.json").write_text('{"names": ["0"], "shapes": [5]}'),
    "folder empty": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_is_made_anew(damage: str, files: list[Path], stores: Path, decoded: list[str]) -> None:
    folder = open_store(files, stores).folder
    DAMAGES[damage](folder)
    decoded.clear()
    store = open_store(files, stores)
    assert holds(store, files) and store.folder == folder
    assert len(decoded) == 4
    assert not debris(stores)


# --- what goes wrong while a store is built ---------------------------------------------------------------------------


def test_bad_picture_is_named_and_leaves_nothing(files: list[Path], stores: Path) -> None:
    files[2].write_bytes(files[2].read_bytes()[:200])
    with pytest.raises(PictureError, match=r"pictures/2\.bmp: "):
        open_store(files, stores)
    assert [path.name for path in stores.iterdir()] == ["known"]


def test_missing_picture_is_named(files: list[Path], stores: Path) -> None:
    with pytest.raises(PictureError, match=r"nowhere\.png: .*No such file"):
        open_store([*files, files[0].with_name("nowhere.png")], stores)


def test_folder_among_the_files_is_named(files: list[Path], stores: Path) -> None:
    with pytest.raises(PictureError, match=r"/pictures: .*directory"):
        open_store([*files, files[0].parent], stores)


class FullDisk(io.FileIO):
    """A file on a disk that takes one picture and no more."""

    code = errno.ENOSPC

    def write(self, data: Any) -> int:
        if self.tell():
            raise OSError(self.code, os.strerror(self.code))
        return super().write(data)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("made", ["decoded", "bicubic"])
def test_full_disk(made: str, code: int, files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hr = open_store(files, stores) if made == "bicubic" else None
    before = {path.name for path in stores.glob("*")} | {"known"}
    really_open = Path.open

    def open_on_full_disk(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        return FullDisk(path, "w") if mode == "wb" else really_open(path, mode, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FullDisk, "code", code)
        patch.setattr(Path, "open", open_on_full_disk)
        with pytest.raises(DataError, match=r"the disk is full.*SR_CACHE") as caught:
            bicubic_store(hr, 2, stores) if hr else open_store(files, stores)
    assert str(caught.value).startswith(f"{stores}: ")
    assert {path.name for path in stores.iterdir()} == before
    assert holds(open_store(files, stores), files)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_cache_that_cannot_be_written(
    code: int, files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere: taking rights away would prove nothing
    with pytest.raises(DataError, match=rf"stores: .*\({os.strerror(code)}\).*SR_CACHE"):
        open_store(files, stores)


def test_cache_that_is_a_file(files: list[Path], stores: Path) -> None:
    stores.write_text("not a folder")
    with pytest.raises(DataError, match=r"stores: .*SR_CACHE"):
        open_store(files, stores)


def test_cache_that_cannot_be_written_but_has_the_store(
    files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(files, stores)
    os.utime(files[0], (1, 1))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for write in ("mkdir", "write_text", "replace", "rename"):
        monkeypatch.setattr(Path, write, refuse)
    assert holds(open_store(files, stores), files)


# --- several processes ------------------------------------------------------------------------------------------------

FORK = multiprocessing.get_context("fork")  # as loader workers; a spawned process would import torch for seconds


def build(files: list[Path], stores: Path, file: Path, wait: Callable[[], Any], folders: Any = None) -> None:
    """Opens a store in a process that waits before it decodes one of the files."""
    read = module.read_picture

    def decode(path: Path) -> Any:
        if path == file:
            wait()
        return read(path)

    module.read_picture = decode
    module.os.cpu_count = lambda: 1
    store = open_store(files, stores)
    if folders:
        folders.put(store.folder)


def test_two_processes_build_the_same_store(files: list[Path], stores: Path) -> None:
    barrier, folders = FORK.Barrier(2, timeout=300), FORK.Queue()  # so that both are in the middle of building
    processes = [FORK.Process(target=build, args=(files, stores, files[2], barrier.wait, folders)) for _ in range(2)]
    for process in processes:
        process.start()
    made = [folders.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    assert made[0] == made[1] and holds(Store(made[0]), files)
    assert not debris(stores)
    assert {path.name for path in stores.iterdir()} == {made[0].name, "known"}


def test_killed_process_leaves_no_half_store(files: list[Path], stores: Path, decoded: list[str]) -> None:
    reached = FORK.Event()

    def wait() -> None:
        reached.set()
        time.sleep(600)

    process = FORK.Process(target=build, args=(files, stores, files[2], wait))
    process.start()
    assert reached.wait(300)
    process.kill()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL

    (leftover,) = debris(stores)
    assert {path.name for path in stores.iterdir()} == {leftover, "known"}
    store = open_store(files, stores)
    assert holds(store, files) and len(decoded) == 4
    assert not debris(stores)


def test_a_folder_that_was_just_made_is_left_alone(files: list[Path], stores: Path) -> None:
    """Its process holds the file in it a moment later."""
    begun = stores / ".theirs-12345678.tmp"
    begun.mkdir(parents=True)
    open_store(files, stores)
    assert begun.is_dir()
    os.utime(begun, (time.time() - 900,) * 2)
    open_store(files[1:], stores)
    assert not begun.is_dir()


def test_a_build_that_takes_days_is_left_alone(files: list[Path], stores: Path) -> None:
    building = stores / ".theirs-12345678.tmp"
    building.mkdir(parents=True)
    with locked(building / "pixels.bin"):
        for path in (building / "pixels.bin", building):
            os.utime(path, (time.time() - 900_000,) * 2)
        open_store(files, stores)
        assert building.is_dir()
    open_store(files[1:], stores)
    assert not building.is_dir()


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_picture_that_changes_after_it_was_hashed_poisons_nothing(
    when: str, files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be served under the hash of the old one, and the old one never again."""
    read, old = module.read_picture, files[1].read_bytes()

    def changing(path: Path) -> Any:
        picture = read(path)
        if path == files[when == "while"]:
            repaint(files[1], 7)
        return picture

    monkeypatch.setattr(module, "read_picture", changing)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    place = files[1] if when == "while" else files[1].parent
    with pytest.raises(DataError, match=f"{place}: .*changed .*decoded; run again"):
        open_store(files, stores)
    monkeypatch.setattr(module, "read_picture", read)
    assert not debris(stores)
    assert holds(open_store(files, stores), files)
    files[1].write_bytes(old)
    assert holds(open_store(files, stores), files)


def test_a_flipped_bit_is_found_after_the_next_start_of_the_machine(
    files: list[Path], stores: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = open_store(files, stores).folder / "pixels.bin"
    stat, content = pixels.stat(), bytearray(pixels.read_bytes())
    content[100] ^= 4
    with pixels.open("r+b") as file:  # as a disk does it: nobody notes the time
        file.write(content)
    os.utime(pixels, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    monkeypatch.setattr(module, "boot_id", lambda: "another")
    decoded.clear()
    with pytest.warns(UserWarning, match=r"pixels\.bin is damaged; the pictures are made anew"):
        assert holds(open_store(files, stores), files)
    assert len(decoded) == 4


def test_pixels_are_read_once_after_a_start(files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(files, stores)
    read: list[Path] = []
    monkeypatch.setattr(module, "checksum", lambda path: read.append(path) or checksum(path))
    open_store(files, stores)
    assert not read
    monkeypatch.setattr(module, "boot_id", lambda: "another")
    open_store(files, stores), open_store(files, stores)
    assert len(read) == 1


@pytest.mark.parametrize("theirs", ["whole", "cut"])
def test_another_process_was_faster(
    theirs: str, files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = open_store(files, stores).folder
    hidden = ready.rename(stores.parent / "theirs")
    if theirs == "cut":
        _cut(hidden)
    mine = module._progress

    def overtaken(*args: Any) -> Any:
        yield from mine(*args)
        hidden.rename(ready)

    monkeypatch.setattr(module, "_progress", overtaken)
    assert holds(open_store(files, stores), files)
    assert not debris(stores)


# --- bicubic stores -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_store_is_imresize(scale: int, edge: Any, files: list[Path], stores: Path) -> None:
    hr = open_store(files, stores)
    lr = bicubic_store(hr, scale, stores, edge=edge)
    assert lr.names == hr.names
    for small, picture in zip(lr, hr, strict=True):
        height, width = (n // scale * scale for n in picture.shape[1:])
        image = torch.from_numpy(picture[:, :height, :width].copy()).double() / 255
        expected = imresize(image, 1 / scale, edge=edge, rounding="per_pass") * 255
        assert small.shape[1:] == (height // scale, width // scale)
        np.testing.assert_array_equal(small, expected.round().numpy())


def test_bicubic_store_is_made_once(files: list[Path], stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hr = open_store(files, stores)
    folders = [
        bicubic_store(hr, scale, stores, edge=edge).folder for scale in (2, 3) for edge in ("symmetric", "replicate")
    ]
    assert len(set(folders)) == 4
    monkeypatch.setattr(module, "imresize", None)
    assert bicubic_store(hr, 2, stores).folder == folders[0]


def test_bicubic_store_of_too_small_a_picture(files: list[Path], stores: Path) -> None:
    with pytest.raises(PictureError, match="2: 40x12 pixels are too few for scale 13"):
        bicubic_store(open_store(files, stores), 13, stores)
    assert not debris(stores)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_store_equals_published_files(scale: int, real_data: Path, cache: Path) -> None:
    hr = open_store(find_pictures(real_data / "Set5"), cache)
    ours = bicubic_store(hr, scale, cache)
    theirs = open_store(find_pictures(real_data / "golden_lr" / "Set5_swinir" / f"X{scale}"), cache)
    assert [f"{name}x{scale}" for name in ours.names] == theirs.names
    for small, published in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(small, published)
