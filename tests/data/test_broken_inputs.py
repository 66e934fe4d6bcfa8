"""Whatever a user's files are like: one clear sentence, a counted skip, or the right sample; never a wrong one."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.errors import SRError

OPTIONS = ["data.patch_size=16", "data.batch_size=2", "data.batches_per_epoch=2", "data.num_workers=0"]


def first_batch(*overrides: str) -> Any:
    """What training on such data begins with."""
    data = build(compose("train", [*overrides, *OPTIONS]).data)
    data.prepare_data()
    data.setup("fit")
    return next(iter(data.train_dataloader()))


def png(path: Path, size: tuple[int, int] = (40, 44)) -> Path:
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, "PNG")
    return path


def truncated(path: Path) -> None:
    content = png(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def changed(path: Path) -> None:
    content = bytearray(png(path).read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def nan_tiff(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), np.full((40, 44, 3), np.nan, np.float32), photometric="rgb")


def text(path: Path) -> None:
    path.write_text("<html>404 not found</html>")


def bomb(path: Path) -> None:
    """A header that promises 10 gigapixels."""
    content = bytearray(png(path).read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    path.write_bytes(content)


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated PNG": (truncated, "b.png: "),
    "changed bit": (changed, "b.png: "),
    "empty file": (lambda path: path.write_bytes(b""), "b.png: not a picture"),
    "text": (text, "b.png: a web page, which is not read"),
    "1x1 picture": (lambda path: png(path, (1, 1)), "b: 1x1 pixels are "),
    "NaN TIFF": (nan_tiff, "b.tif: "),
    "decompression bomb": (bomb, "b.png: "),
    "dangling link": (lambda path: path.symlink_to("nowhere.png"), "b.png: cannot be read"),
    "link to itself": (lambda path: path.symlink_to(path.name), "b.png: cannot be read"),
    "no permission": (lambda path: png(path).chmod(0), "b.png: cannot be read"),
    "two of one name": (lambda path: (png(path), png(path.with_suffix(".bmp"))), "two pictures of one name"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_broken_picture_is_named(kind: str, tmp_path: Path) -> None:
    if kind == "no permission" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    make, message = BROKEN[kind]
    for name in "acd":
        png(tmp_path / "set" / f"{name}.png")
    make(tmp_path / "set" / "b.png")
    with pytest.raises(SRError) as caught:
        first_batch("data=folder", f"data.hr_dir={tmp_path / 'set'}", "data.num_val=1")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_jpeg_named_png_is_read_as_what_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 44, 3), dtype=np.uint8)
    for name in ("a", "b"):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{name}.png", "JPEG")
    decoded = np.asarray(Image.open(tmp_path / "set" / "a.png"))
    hr = first_batch("data=folder", f"data.hr_dir={tmp_path / 'set'}", "data.num_val=1", "data.augment=false")["hr"]
    windows = np.lib.stride_tricks.sliding_window_view(decoded.transpose(2, 0, 1), (3, 16, 16))[0]
    assert (windows == hr[0].numpy()).all(axis=(2, 3, 4)).any()


def test_loop_of_links_is_no_loop(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "ab":
        png(folder / f"{name}.png")
    (folder / "again").symlink_to(folder)
    (folder / "more.png").symlink_to(folder)  # a folder named as a picture is no picture
    assert first_batch("data=folder", f"data.hr_dir={folder}", "data.num_val=1")["name"] == ["a", "a"]
    around = tmp_path / "around"
    around.symlink_to(around)
    with pytest.raises(SRError, match="around"):
        first_batch("data=folder", f"data.hr_dir={around}")


def hdf5(path: Path, **datasets: Any) -> str:
    with h5py.File(path, "w") as file:
        for key, value in datasets.items():
            file[key] = value
    return f"data.file={path}"


PATCHES = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"data": PATCHES, "label": PATCHES}, "has no dataset"),
        ({"hr": PATCHES}, "has no dataset"),
        ({"hr": PATCHES, "lr": PATCHES[:3, ::2, ::2]}, "lr"),
        ({"hr": PATCHES, "lr": PATCHES[:, ::3, ::3]}, "at scale 2, lr of 11x11 pixels needs hr of 22x22"),
        ({"hr": PATCHES[0], "lr": PATCHES[0, ::2, ::2]}, "hr"),
        ({"hr": PATCHES.astype(np.int32), "lr": PATCHES[:, ::2, ::2]}, "int32"),
        ({"hr": PATCHES * np.nan, "lr": PATCHES[:, ::2, ::2] * 1.0}, "hr"),
        ({"hr": PATCHES[:0], "lr": PATCHES[:0, ::2, ::2]}, "lr is empty"),
        ({"hr": np.bytes_(b"x"), "lr": np.bytes_(b"x")}, "lr is of type"),
    ],
)
def test_hdf5_that_cannot_be_used(datasets: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SRError) as caught:
        first_batch("data=hdf5", hdf5(tmp_path / "w.h5", **datasets))
    assert "w.h5" in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("key", "num_workers"), [("lr", 0), ("hr", 0), ("lr", 1)])
def test_nan_deep_in_hdf5_reaches_no_batch(key: str, num_workers: int, tmp_path: Path) -> None:
    """One patch of many, which no look at some of them finds."""
    hr = np.random.default_rng(0).random((500, 16, 16), dtype=np.float32)
    datasets = {"hr": hr, "lr": hr[:, ::2, ::2].copy()}
    datasets[key][251, 2, 3] = np.nan
    overrides = ["data=hdf5", hdf5(tmp_path / "w.h5", **datasets), *OPTIONS, "data.batches_per_epoch=500"]
    overrides.append(f"data.num_workers={num_workers}")
    data = build(compose("train", overrides).data)
    data.setup("fit")
    with pytest.raises(SRError, match=rf"^\S+w\.h5: {key} 251 has values that are not finite") as caught:
        for batch in data.train_dataloader():
            assert batch["lr"].isfinite().all() and batch["hr"].isfinite().all()
    assert "\n" not in str(caught.value)


def test_lr_of_another_range_is_divided(tmp_path: Path) -> None:
    batch = first_batch("data=hdf5", hdf5(tmp_path / "w.h5", hr=PATCHES / 255, lr=PATCHES[:, ::2, ::2] * 1.0))
    assert 0.5 < float(batch["lr"].max()) <= 1 and 0.5 < float(batch["hr"].max()) <= 1


def test_cut_hdf5_is_damaged(tmp_path: Path) -> None:
    override = hdf5(tmp_path / "w.h5", hr=PATCHES, lr=PATCHES[:, ::2, ::2])
    content = (tmp_path / "w.h5").read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "w.h5").write_bytes(content[:length])
        with pytest.raises(SRError, match=r"w\.h5"):
            first_batch("data=hdf5", override)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([{"HR": "a.png", "LR": "nowhere.png"}], "nowhere.png"),
        ([{"HR": "nowhere.png", "LR": "a.png"}] * 3, "nowhere.png"),
        ([{"hr": "a.png"}], "HR"),
        ([], "no pairs|empty|lists nothing"),
        ({"HR": "a.png"}, "list"),
        ([{"HR": 3, "LR": "a.png"}], "HR"),
        ("a.png", "list"),
    ],
)
def test_pair_list_that_cannot_be_used(pairs: Any, message: str, tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "train.json").write_text(json.dumps(pairs))
    overrides = [
        "data=pair_list",
        f"data.train_list={tmp_path / 'train.json'}",
        f"data.val_list={tmp_path / 'train.json'}",
    ]
    with pytest.raises(SRError, match=message) as caught:
        first_batch(*overrides)
    assert "\n" not in str(caught.value)


NONE = {
    "empty": "",
    "begun": "[{",
    "program": "import os",
    "call": "[__import__('os').getcwd()]",
    "NUL": "\x00",
    "deep list": "[" * 100_000,
    "deep dictionary": '{"HR":' * 100_000,
    "deep Python": "[" + "-" * 5000 + "1]",
    "deep and closed": "[" * 900 + "]" * 900,
    "unhashable": "[{[]: 1}]",
    "twice in JSON": '[{"HR": "a.png", "HR": "b.png"}]',
    "twice in Python": "[{'HR': 'a.png', 'HR': 'b.png'}]",
    "long name": '[{"HR": "' + "a" * 5000 + '"}]',
    "half a character": '[{"HR": "\\ud800"}]',
}


@pytest.mark.parametrize("kind", NONE)
def test_pair_list_that_is_none(kind: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(NONE[kind])
    png(tmp_path / "a.png"), png(tmp_path / "b.png")
    with pytest.raises(SRError, match=r"train\.json") as caught:
        first_batch("data=pair_list", f"data.train_list={tmp_path / 'train.json'}")
    assert "\n" not in str(caught.value)
    assert not kind.startswith("twice") or "2 values of HR in one entry" in str(caught.value)


def test_pair_list_that_is_something_else(tmp_path: Path) -> None:
    """A video of terabytes by mistake is not read into memory."""
    with (tmp_path / "train.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SRError, match=r"train\.json: has 1048576 MB, too many for a list"):
        first_batch("data=pair_list", f"data.train_list={tmp_path / 'train.json'}")


def test_a_picture_that_changes_afterwards_is_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "ab":
        png(folder / f"{name}.png")
    overrides = ["data=folder", f"data.hr_dir={folder}", "data.num_val=1", "data.augment=false"]
    before = first_batch(*overrides)["hr"]
    Image.new("RGB", (44, 40), "red").save(folder / "a.png")
    after = first_batch(*overrides)["hr"]
    assert (after[:, 0] == 255).all() and not (before == after).all()
    shutil.rmtree(folder)
    with pytest.raises(SRError, match="no such folder"):
        first_batch(*overrides)
