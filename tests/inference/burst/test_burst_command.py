"""``sr-upscale burst=``: names, what is left out, what is refused."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bursts import GAINS, photograph, some_warps, write_burst
from dng_files import write_dng
from sr_lightning.config import compose
from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.raw import camera_rendering, read_raw, write_mosaic_dng
from sr_lightning.errors import ConfigError, DataError, PictureError, ResultExistsError
from sr_lightning.inference.burst import read_burst
from sr_lightning.upscale import upscale


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames, held upright."""
    write_burst(tmp_path / "burst", [photograph(warp, seed=n) for n, warp in enumerate(some_warps(3))], flip=6)
    return tmp_path / "burst"


def run(folder: Path, *arguments: str) -> list[Path]:
    return upscale(compose("upscale", [f"input={folder}/*", "device=cpu", "model=bicubic", *arguments]))


def test_the_merged_mosaic_is_written_once(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    (result,) = run(folder, "burst=dng")
    source = read_burst(sorted(folder.glob("?.dng"))).source
    assert result == source.with_name(f"{source.stem}_burst.dng")
    merged = read_raw(result)
    assert merged.flip == 6 and merged.pattern == "RGGB" and merged.gains == pytest.approx(GAINS, rel=1e-3)
    first = result.read_bytes()
    assert not [str(each.message) for each in recwarn if "burst" in str(each.message)]
    with pytest.warns(UserWarning, match=f"{result.name}: is no frame of the burst"), pytest.raises(ResultExistsError):
        run(folder, "burst=dng")
    assert result.read_bytes() == first
    with pytest.warns(UserWarning, match="is no frame"):
        assert run(folder, "burst=dng", "overwrite=skip") == []
        assert run(folder, "burst=dng", "overwrite=true") == [result]
    assert result.read_bytes() == first  # its own result was no frame


def test_the_enlarged_results_are_upright_and_named(folder: Path, tmp_path: Path) -> None:
    (network,) = run(folder, "burst=true", f"output={tmp_path}/out")
    (kernels,) = run(folder, "burst=super", f"output={tmp_path}/out", "pattern=%name_super_x%factor")
    stem = read_burst(sorted(folder.glob("?.dng"))).source.stem
    assert (network.name, kernels.name) == (f"{stem}_burst_x2.png", f"{stem}_burst_super_x2.png")
    pictures = [read_photo(path).pixels.astype(float) / 257 for path in (network, kernels)]
    assert [picture.shape for picture in pictures] == [(256, 192, 3)] * 2
    camera = camera_rendering(folder / f"{stem}.dng").astype(float).repeat(2, 0).repeat(2, 1)
    for picture in pictures:
        assert np.corrcoef(picture.ravel(), camera.ravel())[0, 1] > 0.9
    assert not list(tmp_path.glob("**/*_burst.dng"))


def test_frames_of_a_tripod_have_nothing_for_a_finer_grid(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, "burst=super", f"output={tmp_path}/out")
    assert "hardly moved" not in capsys.readouterr().err
    frame = (folder / "0.dng").read_bytes()
    for path in folder.iterdir():
        path.write_bytes(frame)
    run(folder, "burst=super", f"output={tmp_path}/out", "overwrite=true")
    assert "the frames hardly moved, and nothing fills the finer grid; burst=true" in capsys.readouterr().err


def test_other_files_are_left_out_with_a_warning(folder: Path) -> None:
    Image.new("RGB", (16, 16)).save(folder / "note.png")
    (folder / "9.dng").write_bytes(b"II*\0")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(run(folder, "burst=dng")) == 1
    words = [str(each.message) for each in said]
    assert any(word.startswith(f"{folder / 'note.png'}: is no frame of the burst") for word in words)
    assert any(word.startswith(f"{folder / '9.dng'}: left out of the burst: no RAW file") for word in words)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["burst=png"], "burst=png: must be false, true, dng or super"),
        (["burst=dng", "exposure=1"], "exposure=1: burst=dng writes the mosaic as it is"),
        (["burst=dng", "colour=linear"], "colour=linear: burst=dng writes the mosaic as it is"),
        (["burst=dng", "factor=2"], "factor=2: burst=dng writes the mosaic as it is"),
        (["burst=dng", "format=png"], "format=png: burst=dng writes a DNG"),
        (["burst=super", "factor=3"], "factor=3: burst=super has whole factors; use scale="),
        (["burst=super", "size=100x100"], "size=100x100: burst=super fills a finer grid without a network"),
        (["burst=super", "strength=0.5"], "strength=0.5: burst=super fills a finer grid without a network"),
        (["burst=dng", "pattern=x"], "pattern=x: burst=dng writes the mosaic as it is"),
        (["burst=super", "exposure=1"], "exposure=1: burst=super fills a finer grid without a network, as it was shot"),
        (["burst=super", "highlights=blend"], "highlights=blend"),
    ],
)
def test_what_a_burst_cannot_follow_is_refused(typed: list[str], sentence: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(ConfigError, match=sentence):
        run(folder, *typed)
    assert sorted(folder.iterdir()) == before


def test_pictures_alone_are_no_burst(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (16, 16)).save(tmp_path / f"{name}.png")
    with pytest.warns(UserWarning, match="is no frame"), pytest.raises(DataError, match="fewer than two frames"):
        run(tmp_path, "burst=true")


def test_its_own_results_are_no_frames_whatever_their_format(folder: Path) -> None:
    (result,) = run(folder, "burst=true", "format=dng")
    assert result.name.endswith("_burst_x2.dng")
    with pytest.warns(UserWarning, match="_burst_x2.dng: is no frame of the burst"):
        assert run(folder, "burst=true", "format=dng", "overwrite=true") == [result]


def test_a_frame_is_never_replaced(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in before:
        with pytest.raises(PictureError, match="would replace a frame of the burst"):
            run(folder, "burst=true", "format=dng", f"pattern={Path(name).stem}", "overwrite=true")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_black_frames_are_told(tmp_path: Path) -> None:
    write_burst(tmp_path / "burst", [torch.zeros(1, 96, 128)] * 3)
    with pytest.raises(DataError, match=r"fewer than two frames can be merged(.|\n)*is black"):
        run(tmp_path / "burst", "burst=true")


def test_the_baseline_exposure_of_a_burst_stays(folder: Path, tmp_path: Path) -> None:
    darker = tmp_path / "darker"
    for path in sorted(folder.iterdir()):
        raw = read_raw(path)
        target = darker / path.name
        target.parent.mkdir(exist_ok=True)
        write_mosaic_dng(target, raw.mosaic, like=replace(raw, baseline_exposure=-1.0))
    for kind in ("true", "super"):
        means = []
        for source in (folder, darker):
            (result,) = run(source, f"burst={kind}", f"pattern={kind}", "bits=16", f"output={source}/out")
            light = read_photo(result).pixels / 65535
            means.append(np.median(np.where(light > 0.04, ((light + 0.055) / 1.055) ** 2.4, light / 12.92)))
        assert means[1] == pytest.approx(means[0] / 2, rel=0.05), kind


def test_frames_of_other_sensors_are_left_out(folder: Path) -> None:
    write_dng(folder / "x.dng", np.full((96, 128, 3), 4000, np.uint16), None)
    with pytest.warns(UserWarning, match="x.dng: left out of the burst: has no Bayer mosaic"):
        assert len(run(folder, "burst=dng")) == 1
