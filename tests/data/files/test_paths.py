"""Whoever calls a function of the package may give paths as text."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sr_lightning.data
import sr_lightning.degradations
from sr_lightning.data import HDF5, Folder, PairList
from sr_lightning.data.files.io import find_pictures, is_16_bit, picture_size, read_photo, read_picture, write_picture
from sr_lightning.data.files.raw import is_raw, read_headerless, read_raw
from sr_lightning.data.files.writing import write_photo
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.patches.store import open_store
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.sets.hdf5 import open_patches
from sr_lightning.data.sets.pair_list import read_pairs
from sr_lightning.data.sets.shard_files import expand, read_shard
from sr_lightning.data.sets.shards import Shards
from sr_lightning.degradations.kernels import load_kernel
from sr_lightning.errors import PictureError

#: Modules and classes for the package's own use.
INTERNAL = (
    "data.files.io.one_sentence",
    "data.files.io.opened",
    "data.files.pages",
    "data.files.raw.dng_tags",
    "data.files.raw.opening",
    "data.files.raw.write_dng.put_linear_dng",
    "data.files.raw.raw_file",
    "data.files.writing.write_png",
    "data.patches.contents",
    "data.patches.store.decoded_store",
    "data.files.damage",
    "data.files.disk",
    "data.files.exif",
    "data.sets.hdf5.opened",
    "data.sets.hdf5_places",
    "data.prepare.patch_writers",
    "data.sets.shard_files.holds",
    "data.srraw.files.read",
    "data.srraw.files.write",
    "data.srraw.patches.Mosaic.",
    "data.srraw.repair.broken_scenes",
    "data.srraw.scene.Scene",
    "data.srraw.scene.Shot",
    "data.patches.pictures.Pictures.__init__",
)


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for package in (sr_lightning.data, sr_lightning.degradations):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for name, thing in vars(module).items():
                if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                    continue
                place = f"{module.__name__}.{name}".removeprefix("sr_lightning.")
                if inspect.isfunction(thing):
                    yield place, thing
                for key, member in vars(thing).items() if inspect.isclass(thing) else ():
                    function = getattr(member, "__func__", member)
                    if inspect.isfunction(function) and (key == "__init__" or not key.startswith("_")):
                        yield f"{place}.{key}", function


def test_all_public_functions_say_so() -> None:
    """``AnyPath`` stands for both; ``Path`` alone would be a promise that text breaks."""
    alone = [
        f"{place}({name})"
        for place, function in public_functions()
        if not place.startswith(INTERNAL)
        for name, parameter in inspect.signature(function).parameters.items()
        if "pathlib.Path" in str(parameter.annotation) and not re.search(r"\bstr\b", str(parameter.annotation))
    ]
    assert not alone


def test_pictures(picture_folder: Callable[..., Path], tmp_path: Path, cache: Path) -> None:
    folder = str(picture_folder())
    path = f"{folder}/00.png"
    assert find_pictures(folder)[0] == Path(path)
    assert np.array_equal(read_picture(path), read_photo(path).pixels)
    assert picture_size(path) == (60, 72) and not is_16_bit(path)
    assert Pictures.in_folders(folder, folder).lr == Pictures([*map(str, find_pictures(folder))]).hr
    assert open_store([path], str(cache)).names == ["00"]
    write_picture(str(tmp_path / "x.png"), read_picture(path))
    write_photo(str(tmp_path / "y.png"), read_photo(path))
    assert np.array_equal(read_picture(tmp_path / "x.png"), read_picture(tmp_path / "y.png"))


def test_sets(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder()
    (folder / "list.json").write_text('[{"HR": "00.png", "LR": "01.png"}]')
    assert read_pairs(str(folder / "list.json")).hr == [folder / "00.png"]
    for kind in (str, Path):
        assert len(Folder(2, kind(folder), val_hr_dir=kind(folder)).train_pictures()) == 6
        assert list(PairList(2, kind(folder / "list.json"), kind(folder / "list.json")).val_pictures()) == ["list"]
    shards = write_shards(Folder(2, folder, num_val=1), str(tmp_path / "out"), 10)
    assert expand(tmp_path / "out") == expand(str(tmp_path / "out")) == [str(shards[0])]
    assert [name for name, *_ in read_shard(shards[0], 2)] == [f"{i:02d}" for i in range(5)]
    assert Shards(2, tmp_path / "out", folder).urls == Shards(2, [tmp_path / "out"], str(folder)).urls


def test_raw_patches_and_kernels(tmp_path: Path) -> None:
    assert is_raw("photo.NEF")
    with pytest.raises(PictureError, match=r"^photo\.NEF: cannot be read"):
        read_raw("photo.NEF")
    np.zeros((4, 6), "<u2").tofile(tmp_path / "bare.raw")
    assert read_headerless(str(tmp_path / "bare.raw"), 4, 6).mosaic.shape == (1, 4, 6)
    np.save(tmp_path / "kernel.npy", np.ones((3, 3)))
    assert load_kernel(str(tmp_path / "kernel.npy")).shape == (3, 3)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["lr"], file["hr"] = np.zeros((2, 4, 4), np.uint8), np.zeros((2, 8, 8), np.uint8)
    assert set(open_patches(str(tmp_path / "x.h5"), 2)) == {"lr", "hr"}
    assert HDF5(2, tmp_path / "x.h5").file == HDF5(2, str(tmp_path / "x.h5")).file
