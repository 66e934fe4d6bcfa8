"""Cut patches against MATLAB's and Pillow's pictures, counts that others published, kills, and limits of memory."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import loadmat

from reading import load
from running import Forked
from sr_lightning.atomic import exclusive_write
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import picture_size
from sr_lightning.data.prepare import cutting, patch_writers
from sr_lightning.data.prepare.cutting import count_patches, cut, windows
from sr_lightning.data.prepare.cutting_options import CutOptions
from sr_lightning.errors import SRError
from sr_lightning.functional import imresize
from sr_lightning.prepare import prepare

# What the 91 pictures give at x2, x3 and x4. FSRCNN's are the numbers that the Collection publishes, and 21,884 is the
# length of the HDF5 files for SRCNN x3 that are in circulation. The loops of the Collection's script give DRCN's, and
# twice VDSR's: turns after flips make each of the eight views two times.
T91: dict[str, dict[Any, int]] = {
    "srcnn": {2: 21910, 3: 21884, 4: 21772},
    "fsrcnn": {2: 14632248, 3: 6473984, 4: 3546584},
    "vdsr": {"[2,3,4]": 426240 // 2},
    "drcn": {2: 60692, 3: 60292, 4: 60200},
}


def options(*overrides: str) -> CutOptions:
    return CutOptions.from_config(compose("prepare", list(overrides)))


def sizes_of(folder: Path) -> list[tuple[int, int]]:
    return [Image.open(path).size[::-1] for path in sorted(folder.iterdir())]


def counted(size: tuple[int, int], o: CutOptions) -> int:
    """Windows counted one by one on numpy's own turns and flips of a small chequered picture."""
    total = 0
    for factor in o.upscale_factor:
        for scale in o.scales:
            rows, columns = (int(n * scale) // factor * factor for n in size)
            views = {}
            for turn in o.rotations:
                for flip in o.flips:
                    axes = {0: (), 1: (1,), 2: (0,), 3: (0, 1)}[flip]
                    small = np.rot90(np.flip(np.arange(6).reshape(2, 3), axes), turn // 90)
                    views[small.tobytes() + bytes(small.shape)] = turn in (90, 270)
            for turned in views.values():
                height, width = (columns, rows) if turned else (rows, columns)
                tops = [i for i in range(height // o.stride) if i * o.stride + o.height <= height]
                lefts = [i for i in range(width // o.stride) if i * o.stride + o.width <= width]
                total += len(tops) * len(lefts)
    return total * len(o.upsampling)


@pytest.mark.parametrize("name", ["srcnn", "fsrcnn", "espcn", "vdsr", "drcn", "drrn"])
def test_presets_on_t91(real_data: Path, name: str) -> None:
    sizes = sizes_of(real_data / "T91")
    cases: dict[str, int | None] = {f"upscale_factor={f}": n for f, n in T91.get(name, {}).items()}
    for overrides, known in (cases or {"output=set.h5": None}).items():
        o = options(f"preset={name}", "output=set.h5", overrides)
        total = sum(count_patches(*size, o) for size in sizes)
        assert total == sum(counted(size, o) for size in sizes)
        assert known in (None, total)


@pytest.mark.parametrize(("name", "known"), [("vdsr", 3488), ("drcn", 884)])
def test_presets_cut_what_they_count(real_data: Path, tmp_path: Path, name: str, known: int) -> None:
    """Three pictures, of which the Collection's script cuts 6976 and 884 patches."""
    cfg = compose("prepare", [f"preset={name}", f"data_dir={real_data}", "number=3", f"output={tmp_path / 'cut.h5'}"])
    (path,) = prepare(cfg)
    data, _ = opened(path)
    assert data["lr"].shape == data["hr"].shape == (known, 41, 41)


@pytest.mark.parametrize(
    "overrides",
    [
        ["width=20", "height=12", "stride=4", "upscale_factor=[2,4]", "rotations=[0,90]", "flips=[0,1,2,3]"],
        ["width=9", "height=15", "stride=6", "upscale_factor=3", "rotations=[0,180,270]", "scales=[1,0.9,0.29]"],
        ["width=4", "height=4", "stride=12", "upscale_factor=2", "upsampling=[bicubic,nearest]", "flips=[3]"],
    ],
)
def test_counts(overrides: list[str]) -> None:
    o = options("use_h5py=true", "output=set.h5", *overrides, "input=x", "same_size=true")
    for size in ((100, 71), (37, 41), (8, 90)):
        assert count_patches(*size, o) == counted(size, o)


def test_windows() -> None:
    assert windows(50, 20, 28) == 1  # MATLAB's loop has a second one
    assert [windows(n, 41, 41) for n in (0, 40, 41, 81, 82)] == [0, 0, 1, 1, 2]


def cut_file(folder: Path, output: Path, *overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Datasets and attributes of the file that the command writes."""
    (path,) = prepare(compose("prepare", [f"input={folder}", f"output={output}", "use_h5py=true", *overrides]))
    return opened(path)


def opened(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with h5py.File(path) as file:
        return {key: data[:] for key, data in file.items()}, dict(file.attrs)


def crops(picture: np.ndarray, height: int, width: int, step: int) -> list[np.ndarray]:
    rows, columns = picture.shape[:2]
    tops, lefts = range(0, rows - height + 1, step), range(0, columns - width + 1, step)
    return [picture[y : y + height, x : x + width] for y in tops for x in lefts]


def pairs(data: dict[str, Any]) -> Counter[bytes]:
    return Counter(h.tobytes() + lo.tobytes() for h, lo in zip(data["hr"], data["lr"], strict=True))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_patches_are_crops_of_matlabs_own_files(real_data: Path, tmp_path: Path, scale: int) -> None:
    """Of pictures that the authors shrank with MATLAB, down to the last bit."""
    side = 24
    window = [f"width={side}", f"height={side}", "stride=12", f"upscale_factor={scale}", "seed=null"]
    data, attributes = cut_file(real_data / "Set5", tmp_path / "set5.h5", *window)
    assert (attributes["scale"], attributes["color"]) == (scale, "rgb")
    small = sorted((real_data / f"golden_lr/Set5_swinir/X{scale}").iterdir())
    expected = [
        c for path in small for c in crops(np.array(Image.open(path)), side // scale, side // scale, 12 // scale)
    ]
    np.testing.assert_array_equal(data["lr"], np.stack(expected))


def test_luma_is_matlabs(real_data: Path, tmp_path: Path) -> None:
    golden = loadmat(real_data / "golden_lr/Set5_vdsr_float64_mat/butterfly_GT_x2.mat")
    luma = np.floor(golden["im_gt_y"] + 0.5 + 1e-6).astype(np.uint8)  # six halves came out of MATLAB a hair too low
    (tmp_path / "in").mkdir()
    Image.fromarray(golden["im_gt"]).save(tmp_path / "in/butterfly.png")
    data, attributes = cut_file(tmp_path / "in", tmp_path / "y.h5", "single_y=true", "seed=null", "same_size=true")
    assert attributes["color"] == "y"
    np.testing.assert_array_equal(data["hr"], np.stack(crops(luma, 41, 41, 41)))


def test_views_are_turned_pairs(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """All eight views of oblong pictures and windows, with LR of the upright picture turned alike."""
    folder = picture_folder(count=2, size=(61, 83))
    data, _ = cut_file(
        folder, tmp_path / "v.h5", "width=18", "height=12", "stride=6", "upscale_factor=3",
        "flips=[0,1,2,3]", "rotations=[0,90,180,270]",
    )  # fmt: skip
    expected: Counter[bytes] = Counter()
    for path in sorted(folder.iterdir()):
        hr = np.array(Image.open(path))[:60, :81]
        small = imresize(torch.from_numpy(hr).permute(2, 0, 1).double() / 255, 1 / 3, rounding="per_pass")
        lr = (small * 255).round().byte().permute(1, 2, 0).numpy()
        for turns in range(4):
            for mirror in (False, True):
                h, lo = (np.rot90(x[:, ::-1] if mirror else x, turns) for x in (hr, lr))
                both = zip(crops(h, 12, 18, 6), crops(lo, 4, 6, 2), strict=True)
                expected.update(a.tobytes() + b.tobytes() for a, b in both)
    assert pairs(data) == expected


@pytest.mark.parametrize(("turn", "flip"), [(90, 0), (180, 0), (270, 0), (-90, 0), (0, 1), (0, 2), (0, 3), (90, 1)])
def test_names_of_views_are_pillows(turn: int, flip: int, picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder(count=1, size=(30, 40))
    window = ["width=10", "height=10", "stride=10", "seed=null", "same_size=true"]
    data, _ = cut_file(folder, tmp_path / "v.h5", *window, f"rotations={turn}", f"flips={flip}")
    view = Image.open(folder / "00.png")
    for side, transpose in ((1, Image.Transpose.FLIP_LEFT_RIGHT), (2, Image.Transpose.FLIP_TOP_BOTTOM)):
        view = view.transpose(transpose) if flip & side else view
    np.testing.assert_array_equal(data["hr"], np.stack(crops(np.array(view.rotate(turn, expand=True)), 10, 10, 10)))


@pytest.mark.parametrize(
    ("kind", "pillow"), [("bilinear", "BILINEAR"), ("nearest", "NEAREST"), ("antialias", "LANCZOS")]
)
def test_other_ways_to_resize_are_pillows(
    kind: str, pillow: str, picture_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = picture_folder(count=1, size=(44, 60))
    window = ["width=20", "height=20", "stride=20", "upscale_factor=4", "seed=null", f"upsampling={kind}"]
    data, _ = cut_file(folder, tmp_path / "k.h5", *window, "same_size=true")
    hr, method = Image.open(folder / "00.png"), Image.Resampling[pillow]
    lr = hr.resize((15, 11), method).resize((60, 44), method)
    np.testing.assert_array_equal(data["lr"], np.stack(crops(np.array(lr), 20, 20, 20)))


def test_rescaled_and_enlarged_again(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """Scale 0.5 of 61x83 is 30x41, cropped to 30x40; LR is shrunk, rounded, enlarged, rounded."""
    folder = picture_folder(count=1, size=(61, 83))
    window = ["width=10", "height=10", "stride=10", "seed=null", "scales=0.5", "same_size=true"]
    data, attributes = cut_file(folder, tmp_path / "s.h5", *window)
    assert attributes["scale"] == 1
    assert attributes["upscale_factor"].tolist() == [2]
    hr = imresize(load(folder / "00.png"), size=(30, 41), rounding="per_pass")[..., :40]
    lr = imresize(imresize(hr, 0.5, rounding="per_pass"), 2, rounding="per_pass")
    for key, picture in (("hr", hr), ("lr", lr)):
        pixels = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(data[key], np.stack(crops(pixels, 10, 10, 10)))


def test_blur(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """As OpenCV filters; a kernel from a file gives the same as its Gaussian."""
    folder = picture_folder(count=1)
    window = ["width=12", "height=12", "stride=12", "upscale_factor=3", "seed=null"]
    data, _ = cut_file(folder, tmp_path / "b.h5", *window, "kernel_size=7", "upsampling=nearest")
    one = cv2.getGaussianKernel(7, 1.6)
    picture = np.array(Image.open(folder / "00.png"))
    blurred = cv2.filter2D(picture.astype(np.float64), -1, one @ one.T, borderType=cv2.BORDER_REPLICATE)
    expected = np.stack(crops(np.floor(blurred + 0.5)[1::3, 1::3], 4, 4, 4))
    assert np.abs(data["lr"].astype(float) - expected).max() == 0
    np.save(tmp_path / "kernel.npy", one @ one.T)
    same, _ = cut_file(folder, tmp_path / "c.h5", *window, f"kernel={tmp_path / 'kernel.npy'}", "upsampling=nearest")
    np.testing.assert_array_equal(same["lr"], data["lr"])


def test_targets_of_lapsrn(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder(count=1, size=(64, 72))
    window = ["width=32", "height=32", "stride=32", "upscale_factor=8", "seed=null", "single_y=true"]
    data, _ = cut_file(folder, tmp_path / "t.h5", *window, "targets=[2,4,8]", "gzip=4")
    assert {key: array.shape for key, array in data.items()} == {
        "lr": (4, 4, 4), "hr": (4, 32, 32), "hr_x2": (4, 8, 8), "hr_x4": (4, 16, 16), "hr_x8": (4, 32, 32),
    }  # fmt: skip
    np.testing.assert_array_equal(data["hr_x8"], data["hr"])
    plain, _ = cut_file(folder, tmp_path / "u.h5", *window[:3], "upscale_factor=2", "seed=null", "single_y=true")
    at_4, _ = cut_file(folder, tmp_path / "w.h5", *window[:3], "upscale_factor=4", "seed=null", "single_y=true")
    np.testing.assert_array_equal(data["hr_x4"], plain["lr"])
    np.testing.assert_array_equal(data["hr_x2"], at_4["lr"])


def test_padding_cuts_the_middle_of_hr(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder(count=1)
    window = ["width=33", "height=33", "stride=14", "same_size=true", "seed=null"]
    whole, _ = cut_file(folder, tmp_path / "a.h5", *window)
    middle, _ = cut_file(folder, tmp_path / "b.h5", *window, "padding=6")
    np.testing.assert_array_equal(middle["hr"], whole["hr"][:, 6:-6, 6:-6])
    np.testing.assert_array_equal(middle["lr"], whole["lr"])


def test_seed_shuffles_pairs(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder()
    window = ["width=12", "height=12", "stride=6", "upscale_factor=[2,3]", "same_size=true"]
    in_order, one, same, two = (
        cut_file(folder, tmp_path / f"{name}.h5", *window, f"seed={seed}")[0]
        for name, seed in (("n", "null"), ("a", 1), ("b", 1), ("c", 2))
    )
    assert pairs(in_order) == pairs(one) == pairs(two)
    np.testing.assert_array_equal(one["hr"], same["hr"])
    assert not np.array_equal(one["hr"], two["hr"])
    assert not np.array_equal(one["hr"], in_order["hr"])


def test_the_file_says_how_it_was_made(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """Several factors with LR of their own size become several files."""
    folder = picture_folder(mode="L")
    overrides = [f"input={folder}", f"output={tmp_path}/new/set.h5", "use_h5py=true", "upscale_factor=[2,3]", "gzip=1"]
    files = prepare(compose("prepare", [*overrides, "width=12", "height=12", "stride=12"]))
    assert [path.name for path in files] == ["set_x2.h5", "set_x3.h5"]
    for scale, path in zip((2, 3), files, strict=True):
        data, attributes = opened(path)
        assert attributes["scale"] == scale
        assert data["lr"].shape == (180, 12 // scale, 12 // scale, 3)  # grey pictures become RGB
        assert data["lr"].dtype == np.uint8
        command = json.loads(attributes["command"])
        assert command["width"] == 12
        assert set(command) == set(CutOptions.__dataclass_fields__)
        with h5py.File(path) as file:
            assert file["lr"].compression == "gzip"
            assert file["lr"].chunks[1:] == file["lr"].shape[1:]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["set_x2.h5", "set_x3.h5"]


def test_a_killed_run_goes_on(
    picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = picture_folder()
    window = ["width=12", "height=12", "stride=6", "same_size=true"]
    expected, _ = cut_file(folder, tmp_path / "whole.h5", *window)
    monkeypatch.setattr(patch_writers, "_NOTE_EVERY", 0.0)
    read, files = cutting.read_picture, []

    def killed(path: Path) -> Any:
        files.append(path.name)
        if len(files) == 4:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(cutting, "read_picture", killed)
    output = tmp_path / "set.h5"
    with pytest.raises(KeyboardInterrupt):
        cut_file(folder, output, *window)
    assert not output.exists()
    with pytest.raises(SRError, match=r"set.h5.part: holds something else"):
        cut_file(folder, output, *window, "seed=2")
    with monkeypatch.context() as patch:  # and again while the HDF5 file is made
        patch.setattr(patch_writers.shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(patch_writers.Path, "replace", broken(Path.replace))
        with pytest.raises(KeyboardInterrupt):
            cut_file(folder, output, *window)
    assert not output.exists()
    data, _ = cut_file(folder, output, *window)
    assert files == ["00.png", "01.png", "02.png", "03.png", "03.png", "04.png", "05.png"]
    for key in ("lr", "hr"):
        np.testing.assert_array_equal(data[key], expected[key])
    assert not output.with_name("set.h5.part").exists()
    cut_file(folder, output, *window)
    assert "already" in capsys.readouterr().out
    assert len(files) == 7
    before = output.read_bytes()
    with pytest.raises(SRError, match=r"set.h5: holds something else"):
        cut_file(folder, output, *window, "padding=1")
    (folder / "00.png").write_bytes((folder / "01.png").read_bytes())
    with pytest.raises(SRError, match=r"set.h5: holds something else"):
        cut_file(folder, output, *window)
    assert output.read_bytes() == before


def test_two_processes_do_not_cut_into_one_place(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder()
    for output, keys in (
        (tmp_path / "set.h5", ["use_h5py=true", f"output={tmp_path / 'set.h5'}"]),
        (tmp_path / "hr", [f"output_hr={tmp_path / 'hr'}", f"output_lr={tmp_path / 'lr'}"]),
    ):
        config = compose("prepare", [f"input={folder}", *keys, "width=12", "height=12", "stride=12"])
        with (
            exclusive_write(output),
            pytest.raises(SRError, match=f"{output}: another process is writing there; let it finish"),
        ):
            prepare(config)
        prepare(config)
    assert not list(tmp_path.rglob(".*"))


def broken(replace: Callable[..., Any]) -> Callable[..., Any]:
    def stop(self: Path, target: Path) -> Any:
        if self.name == "whole.h5":
            raise KeyboardInterrupt
        return replace(self, target)

    return stop


def test_folders_of_png(picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = picture_folder(count=3)
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    overrides = [f"input={folder}", f"output_hr={hr}", f"output_lr={lr}", "upscale_factor=[2,3]", "width=30",
                 "height=30", "stride=30"]  # fmt: skip
    monkeypatch.setattr(cutting, "read_picture", killed_at(3))
    with pytest.raises(KeyboardInterrupt):
        prepare(compose("prepare", overrides))
    monkeypatch.undo()
    assert prepare(compose("prepare", overrides)) == [hr, lr]
    names = {path.name for path in hr.glob("*.png")}
    assert names == {path.name for path in lr.glob("*.png")}
    assert names == {f"0{i}.png_{n}_x{2 if n < 4 else 3}.png" for i in range(3) for n in range(8)}
    picture = np.array(Image.open(folder / "01.png"))
    np.testing.assert_array_equal(np.array(Image.open(hr / "01.png_1_x2.png")), picture[:30, 30:60])
    assert Image.open(lr / "01.png_1_x2.png").size == (15, 15)
    assert Image.open(lr / "01.png_7_x3.png").size == (10, 10)
    monkeypatch.setattr(cutting, "read_picture", killed_at(1))
    prepare(compose("prepare", overrides))  # whole already: reads nothing
    monkeypatch.undo()
    with pytest.raises(SRError, match="hr: holds something else"):
        prepare(compose("prepare", [*overrides, "stride=6"]))
    with pytest.raises(SRError, match="is not an empty folder"):
        prepare(compose("prepare", [*overrides, f"output_hr={picture_folder('mine')}"]))


def killed_at(call: int) -> Callable[[Path], Any]:
    read, calls = cutting.read_picture, []

    def killed(path: Path) -> Any:
        calls.append(path)
        if len(calls) == call:
            raise KeyboardInterrupt
        return read(path)

    return killed


def test_no_room(picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(1, 1, 1000)
    monkeypatch.setattr(patch_writers.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SRError, match=r"set.h5: 6 patches need 0.0 GB .* choose another disk"):
        cut_file(picture_folder(), tmp_path / "set.h5", "same_size=true")
    assert not list(tmp_path.glob("set*"))


def test_a_damaged_picture_is_named(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder()
    whole = (folder / "03.png").read_bytes()
    (folder / "03.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SRError, match=r"03\.png"):
        cut_file(folder, tmp_path / "set.h5", "same_size=true")
    assert not (tmp_path / "set.h5").exists()


H5 = ["use_h5py=true", "output=set.h5", "input=."]
PNG = ["output_hr=a", "output_lr=b", "input=."]
MISTAKES: list[tuple[list[str], str]] = [
    (["use_h5py=true", "output=set.h5"], "input is missing"),
    (["output_hr=a"], "input is missing"),
    (["input=."], "the patches need a place"),
    (["input=.", "use_h5py=true"], "output is missing"),
    (["input=.", "output=set.h5"], "needs use_h5py=true"),
    (["input=.", "output_hr=a"], "the patches need a place"),
    ([*H5, "output_hr=a"], "remove output_hr"),
    ([*H5, "output=set.npz"], "ends in .h5"),
    (["input=.", "output_hr=.", "output_lr=b"], "output_hr=.: is the folder of input"),
    (["input=.", "output_hr=a", "output_lr=a"], "output_lr=a: is the folder of output_hr"),
    ([*H5, "stride=0"], "stride=0: must be a whole number above 0"),
    ([*H5, "width=4.5"], "width=4.5: must be a whole number"),
    ([*H5, "height=big"], "height=big: must be a whole number"),
    ([*H5, "padding=21"], "padding=21: nothing is left"),
    ([*H5, "upscale_factor=1"], "upscale_factor=1: must be a whole number, 2 or more"),
    ([*H5, "upscale_factor=[]"], r"upscale_factor=\[\]: needs at least one"),
    ([*H5, "upscale_factor=[2,2]"], "has a value twice"),
    ([*H5, "upscale_factor=3"], "width=41: must be a multiple of upscale_factor=3, .* same_size=true"),
    ([*H5, "width=42", "height=42"], "stride=41: must be a multiple"),
    ([*H5, "upsampling=[bicubic,lancos]"], "upsampling=lancos: must be bicubic, bilinear, nearest or antialias"),
    ([*H5, "scales=[1,0]"], "scales=0: must be a number above 0"),
    ([*H5, "scales=first"], "scales=first: must be a number above 0"),
    ([*H5, "rotations=45"], "rotations=45: must be 0, 90, 180 or 270"),
    ([*H5, "flips=4"], "flips=4: must be a whole number from 0 to 3; 0 is none"),
    ([*H5, "single_y=Y"], "single_y=Y: must be true or false"),
    ([*H5, "kernel_size=4"], "kernel_size=4: must be an odd number"),
    ([*H5, "kernel_size=7", "kernel=k.npy"], "not both"),
    ([*H5, "same_size=true", "kernel=k.npy"], "k.npy: no such file"),
    ([*H5, "gzip=10"], "gzip=10: must be a whole number from 1 to 9"),
    ([*PNG, "gzip=1"], "gzip=1 needs use_h5py"),
    ([*H5, "seed=-1"], "seed=-1: must be a whole number"),
    ([*H5, "same_size=true", "targets=[2]"], "same_size=false"),
    ([*H5, "width=8", "height=8", "stride=8", "upscale_factor=4", "targets=[8]"], "targets=8: may be 2, 4 and 8"),
    ([*H5, "same_size=true", "input=nowhere"], "nowhere: no such folder"),
    ([*H5, "same_size=true", "number=9"], "number=9: .* has only 6 pictures"),
    ([*H5, "same_size=true", "stride=400"], "stride=400: too large for all pictures"),
    ([*H5, "same_size=true", "width=400"], "width=400 height=41 stride=41: too large for all pictures .* has 60x72"),
]


@pytest.mark.parametrize(("overrides", "words"), MISTAKES, ids=lambda v: v[-1] if isinstance(v, list) else "")
def test_mistakes_are_found_before_work_begins(
    overrides: list[str],
    words: str,
    picture_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(picture_folder())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SRError, match=words):
        prepare(compose("prepare", overrides))
    assert sorted(tmp_path.rglob("*")) == before


PEAK = """
import resource, sys
from sr_lightning.config import build, compose
from sr_lightning.prepare import prepare
prepare(compose("prepare", sys.argv[1:]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_set(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    """2,088 and 20,880 patches: 63 MB more in the file, and the same peak."""
    folder = picture_folder(count=20, size=(272, 323))

    def peak(number: int) -> tuple[int, int]:
        output = tmp_path / f"{number}.h5"
        window = ["use_h5py=true", "width=41", "height=41", "stride=8", "same_size=true", "single_y=true"]
        argv = [f"input={folder}", f"output={output}", f"number={number}", *window, "upscale_factor=3"]
        out, _err = Forked(PEAK, *argv, cwd=tmp_path).communicate()
        with h5py.File(output) as file:
            return len(file["hr"]), int(out.splitlines()[-1])

    (few, small), (many, large) = peak(2), peak(20)
    assert many == 10 * few == 20_880
    assert large < small + 20, f"{few} patches: {small} MB, {many} patches: {large} MB"


def test_sizes_are_read_upright(tmp_path: Path) -> None:
    """A photograph that its camera marked as turned: counted as it is cut."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((20, 50, 3), np.uint8)).save(tmp_path / "in/turned.jpg", exif=exif)
    assert picture_size(tmp_path / "in/turned.jpg") == (50, 20)
    data, _ = cut_file(tmp_path / "in", tmp_path / "t.h5", "width=20", "height=50", "stride=20", "same_size=true")
    assert data["hr"].shape == (1, 50, 20, 3)


def test_what_is_cut_can_be_trained_on(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = picture_folder()
    output = tmp_path / "set.h5"
    cut_file(folder, output, "width=24", "height=24", "stride=24", "upscale_factor=3", "seed=null")
    data = build(compose("train", ["data=hdf5", f"data.file={output}", f"data.val_hr_dir={folder}", "scale=3"]).data)
    data.prepare_data()
    data.setup("fit")
    assert len(data.patches) == 36


def test_cut_needs_no_config(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    made = options(f"input={picture_folder()}", f"output={tmp_path}/a.h5", "use_h5py=true", "same_size=true")
    assert cut(made) == [tmp_path / "a.h5"]


def damage_order(part: Path) -> None:
    data = (part / "order.npy").read_bytes()
    (part / "order.npy").write_bytes(data[:-4] + bytes([data[-4] ^ 1, *data[-3:]]))


@pytest.mark.parametrize(
    "damage",
    [
        damage_order,
        lambda part: (part / "order.npy").write_bytes(b""),
        lambda part: (part / "order.npy").write_bytes(b"\x93NUMPY\1\0\4\0{a: "),
        lambda part: np.save(part / "order.npy", np.arange(3)),
        lambda part: (part / "order.npy").unlink(),
        lambda part: (part / "records.bin").unlink(),
        lambda part: (part / "records.bin").write_bytes(b"cut short"),
        lambda part: (part / "patches.json").write_text(
            (part / "patches.json").read_text().replace('"done": 1', '"done": 5')
        ),
    ],
)
def test_patches_in_a_damaged_folder_are_cut_anew(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    def writer() -> patch_writers.HDF5Writer:
        return patch_writers.HDF5Writer(tmp_path / "set.h5", {"hr": (2, 2)}, 6, {"a": 1}, seed=1)

    patches = {"hr": np.arange(24, dtype=np.uint8).reshape(6, 2, 2)}
    with writer() as first:
        first.write(0, {"hr": patches["hr"][:4]})
        first.note(1, now=True)
    assert writer().done == 1
    damage(tmp_path / "set.h5.part")
    with pytest.warns(UserWarning, match=r"set\.h5\.part: damaged; its patches are cut anew"):
        second = writer()
    assert second.done == 0
    with second:
        second.write(0, patches)
        second.finish({}, {}, None)
    with h5py.File(tmp_path / "set.h5") as file:
        assert sorted(map(bytes, np.asarray(file["hr"]))) == sorted(map(bytes, patches["hr"]))


@pytest.mark.parametrize(
    "note", ["", "{", "[1]", '{"recipe": {"a": 1}, "done": "x"}', '{"recipe": {"a": 1}, "done": -1}']
)
def test_a_damaged_note_of_patches_is_told(note: str, tmp_path: Path) -> None:
    for place in (tmp_path / "set.h5.part", tmp_path / "hr", tmp_path / "lr"):
        place.mkdir()
        (place / "patches.json").write_text(note)
    with pytest.raises(SRError, match=r"set\.h5\.part: holds something else .* choose another place or delete it"):
        patch_writers.HDF5Writer(tmp_path / "set.h5", {"hr": (2, 2)}, 6, {"a": 1}, seed=1)
    with pytest.raises(SRError, match=r"hr: holds something else .* choose another place or delete it"):
        patch_writers.FolderWriter(tmp_path / "hr", tmp_path / "lr", {"a": 1}, 3)
