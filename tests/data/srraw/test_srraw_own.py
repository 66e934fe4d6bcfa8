"""Scenes of one's own camera: any names, endings and focal lengths, and what happens to bad shots."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray

from running import run_here
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.srraw import SRRAW
from sr_lightning.data.srraw.build import Outcome, build_scene
from sr_lightning.data.srraw.files import parse_tform, parse_wb
from sr_lightning.data.srraw.judge import Limits
from sr_lightning.data.srraw.options import Options
from sr_lightning.data.srraw.pipeline import build_set
from sr_lightning.data.srraw.ranges import default_ranges
from sr_lightning.data.srraw.repair import is_published
from sr_lightning.data.srraw.scene import Scene
from sr_lightning.data.srraw.shots import Shots
from sr_lightning.data.srraw.steps import estimate_gains
from sr_lightning.errors import PictureError
from srraw_mini import FOCAL_LENGTHS, make_scene, write_jpeg, write_raw

OPTIONS = Options(4, "none", margin=4)
FOCALS = (200, 100, 50)


def over_exposed(picture: NDArray[np.float32], _: float) -> NDArray[np.float32]:
    """By two stops; the miniature's light is the square of its picture."""
    return picture * np.float32(2)


def blurred(picture: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """The longest focal length by more, because it is judged in the pixels of the next."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 4.0 if ratio == 1 else 2.5))


def moved(picture: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """Something else stands in a sixth of what the reference sees."""
    changed, middle = picture.copy(), picture.shape[1] // 2
    half = int(picture.shape[1] / ratio / 12)
    part = slice(middle - half, middle + half)
    changed[:, part] = picture[::-1, part][:, ::-1]
    return changed


def built(folder: Path, out: Path, options: Options = OPTIONS) -> Outcome:
    return build_scene(folder, out, options)


# --- files and names --------------------------------------------------------------------------------------------------


def test_three_cameras(photographs: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their RAW files have other endings, and their scenes names with blanks and umlauts."""
    train = tmp_path / "own" / "train"
    stems = ["DSC_0034", "DSC_0031", "DSC_0033", "DSC_0030", "DSC_0032", "DSC_0035"]
    make_scene(train / "Königssee am Abend", photographs, seed=1, stems=stems, ending=".NEF")
    make_scene(train / "[2] stairs: up_00005", photographs, seed=2, focals=FOCALS, stems=["c", "b", "a"], ending=".rw2")
    # LibRaw's renderings stand in for JPEGs.
    make_scene(train / "写真", photographs, seed=3, focals=FOCALS, stems=["1", "2", "3"], ending=".dng", jpegs=False)
    (train / "Königssee am Abend" / "notes.txt").write_text("on a tripod")
    build_set(tmp_path / "own", tmp_path / "SRRAW" / "X4", OPTIONS)
    told = capsys.readouterr().out
    assert "SR-RAW x4 train: 5 pairs of 3 scenes; 0 left out" in told and "without" not in told
    names = ["Königssee am Abend_00004", "Königssee am Abend_00005", "Königssee am Abend_00006"]
    names = sorted([*names, "[2] stairs: up_00005_00003", "写真_00003"])
    assert sorted(parse_wb(tmp_path / "SRRAW" / "X4" / "train" / "wb.txt")) == names

    options: dict[str, Any] = {"patch_size": 32, "val_crop": 32, "num_workers": 0, "batch_size": 2, "label": "none"}
    data = SRRAW(4, None, tmp_path, input="raw", **options)
    data.setup("fit")
    assert [*data.val_sets["srraw"].named.names] == names[-1:]
    assert data.describe() is not None and "1 to 4 of 5 pairs, and 5 to 5 validate" in str(data.describe())
    assert next(iter(data.train_dataloader()))["raw"].shape == (2, 1, 8, 8)


def test_numbers_follow_focal_lengths(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    """The same shots by other names give the same pairs."""
    make_scene(tmp_path / "named", photographs, seed=1, focals=FOCALS, stems=["IMG_7", "IMG_9", "IMG_8"])
    make_scene(tmp_path / "numbered", photographs, seed=1, focals=FOCALS)
    made = [built(tmp_path / name, tmp_path / "out") for name in ("named", "numbered")]
    assert [list(outcome.pairs) for outcome in made] == [["named_00003"], ["numbered_00003"]]
    for kind, ending in (("LR", "png"), ("HR", "png"), ("ARW", "npy")):
        one, other = (tmp_path / "out" / kind / f"{name}_00003.{ending}" for name in ("named", "numbered"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("focals", "scale", "expected"),
    [
        ((240, 150, 100, 70, 50, 35, 24), 4, [(5, 1), (6, 2), (7, 3)]),
        ((240, 150, 100, 70, 50, 35, 24), 8, [(6, 1)]),
        ((200, 100, 50), 4, [(3, 1)]),
        ((200, 100, 50), 8, []),
        ((200, 135, 100, 70, 50, 35, 24), 4, [(5, 1), (6, 2), (7, 3)]),
        ((200, 135, 100, 70, 50, 35, 24), 8, [(7, 1)]),
        ((70, 50, 35, 24), 4, []),
        ((86, 17.1, 16.9), 4, []),  # beyond 5
        ((84, 17, 17), 4, [(2, 1), (3, 1)]),
    ],
)
def test_pairs_by_focal_length(
    focals: tuple[float, ...], scale: int, expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    for i, focal in enumerate(focals):
        write_jpeg(tmp_path / f"P{9 - i}.jpg", np.zeros((8, 8, 3), dtype=np.uint8), focal)
    found = Shots(Scene(tmp_path)).pairs(scale, 0.25, ())
    ratios = [focals[hr - 1] / focals[lr - 1] / scale for lr, hr in found]
    assert all(1 / 1.25 - 1e-9 <= ratio <= 1.25 + 1e-9 for ratio in ratios)
    if len(focals) == 7 and focals[0] == 240:  # 24 mm with 240 mm, and 70 mm with 240 mm, are as far apart as allowed
        assert set(expected) <= set(found) and len(found) == len(expected) + 1
    else:
        assert found == expected


def test_a_bad_shot_is_replaced_by_the_next_focal_length(tmp_path: Path) -> None:
    for stem, focal in (("a", 100), ("b", 90), ("c", 25)):
        write_jpeg(tmp_path / f"{stem}.jpg", np.zeros((8, 8, 3), dtype=np.uint8), focal)
    shots = Shots(Scene(tmp_path))
    assert shots.pairs(4, 0.25, {1, 2, 3}) == [(3, 1)] and shots.pairs(4, 0.25, {2, 3}) == [(3, 2)]
    assert shots.pairs(4, 0.25, ()) == [(3, 1)]  # whose reason is told


def test_files_that_cannot_be_used_cost_themselves(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    folder = tmp_path / "wood"
    make_scene(folder, photographs, seed=1, focals=FOCALS, stems=["a", "b", "c"], ending=".kdc")
    shutil.copy(folder / "a.kdc", folder / "a.raw")
    shutil.copy(folder / "b.kdc", folder / "d.kdc")
    write_jpeg(folder / "e.jpg", np.zeros((8, 8, 3), dtype=np.uint8), 70)
    cv2.imwrite(str(folder / "f.jpg"), np.zeros((8, 8, 3), dtype=np.uint8))
    outcome = built(folder, tmp_path / "out")
    assert list(outcome.pairs) == ["wood_00004"]  # 70 mm is the third
    reasons = {
        "wood/a.raw": "a.kdc has the same name, and is taken",
        "wood/d.kdc": "it has no JPEG, which other shots of the scene have",
        "wood/f.jpg": f"{folder / 'f.jpg'}: its EXIF tells no focal length",
    }
    assert outcome.left_out == reasons


def test_a_damaged_raw_file_costs_itself(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    """Without JPEGs, where RAW files are the pictures, too."""
    folder = tmp_path / "scene"
    make_scene(folder, photographs, seed=1, focals=(200, 190, 50), stems=["a", "b", "c"], ending=".dng", jpegs=False)
    (folder / "a.dng").write_bytes((folder / "a.dng").read_bytes()[:-50000])
    outcome = built(folder, tmp_path / "out")
    assert list(outcome.pairs) == ["scene_00002"]  # with 190 mm, which is the first of those that tell a focal length
    assert outcome.left_out == {"scene/a.dng": f"{folder / 'a.dng'}: its EXIF tells no focal length"}


def test_a_scene_without_a_usable_reference_says_so(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    changes = {1: lambda picture: over_exposed(picture, 0)}
    make_scene(tmp_path / "scene", photographs, seed=1, focals=(200, 50), changes=changes, stems=["a", "b"])
    outcome = built(tmp_path / "scene", tmp_path / "out")
    assert not outcome.pairs
    assert re.match(r"00001 \(a\.JPG\) is not aligned: \d+% of it is clipped", outcome.left_out["scene_00002"])


def test_nothing_fits(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    make_scene(tmp_path / "near", photographs, seed=1, focals=(200, 100), stems=["a", "b"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "two\nlines").mkdir()
    reasons = {
        name: built(tmp_path / name, tmp_path / "out").left_out[name] for name in ("near", "empty", "two\nlines")
    }
    assert "no two focal lengths whose ratio is 4 within data.tolerance=0.25 (200, 100 mm)" in reasons["near"]
    assert "has no shots that can be used (put a JPEG and a RAW file of every focal length" in reasons["empty"]
    assert "its name has signs that the lists of pairs cannot hold; rename it" in reasons["two\nlines"]
    assert "\n" not in reasons["two\nlines"]


def test_scenes_whose_names_begin_alike(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    for name in ("a", "a_1"):
        make_scene(tmp_path / name, photographs, seed=1, focals=FOCALS, stems=["x", "y", "z"])
        built(tmp_path / name, tmp_path / "out")
    (tmp_path / "out" / "HR" / "a_00003.png").unlink()
    built(tmp_path / "a", tmp_path / "out")  # is made anew, after its own leftovers were removed
    assert sorted(path.stem for path in (tmp_path / "out" / "HR").iterdir()) == ["a_00003", "a_1_00003"]


# --- bad shots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["good", "darker"])
def test_good_shots_are_kept(scene: str, photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 5, (208, 352, 3)).astype(np.float32)
    changes = {} if scene == "good" else {i: (lambda picture: picture * np.float32(0.7) + noise) for i in (2, 4, 6)}
    make_scene(tmp_path / "scene", photographs, seed=1, changes=changes)
    outcome = built(tmp_path / "scene", tmp_path / "out")
    assert list(outcome.pairs) == ["scene_00005", "scene_00006"] and not outcome.left_out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (over_exposed, r"1\d% of it is clipped where others are not, and data.max_clipped is 0.05"),
        (blurred, r"it has 0.1\d of the detail of the others, as if blurred, and data.min_sharpness is 0.3"),
        (moved, r"it differs from the others by 0.\d\d of its contrast, as if something had moved"),
    ],
)
@pytest.mark.parametrize("shot", [1, 5])
def test_bad_shots_cost_their_own_pairs(
    change: Any, reason: str, shot: int, photographs: NDArray[np.uint8], tmp_path: Path
) -> None:
    make_scene(
        tmp_path / "scene",
        photographs,
        seed=1,
        changes={shot: lambda picture: change(picture, 240 / FOCAL_LENGTHS[shot - 1])},
    )
    outcome = built(tmp_path / "scene", tmp_path / "out")
    assert list(outcome.pairs) == ["scene_00006"] and list(outcome.left_out) == ["scene_00005"]
    if shot == 1 and change is moved:  # all others differ from it
        reason = "no other shot can be aligned with it"
    assert re.search(f"^{shot:05d} is not aligned: {reason}", outcome.left_out["scene_00005"]), outcome.left_out
    assert parse_tform(tmp_path / "scene" / "tform.txt")[2] == (2 if shot == 1 else 1)


def test_limits_are_changed_without_aligning_again(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    make_scene(tmp_path / "scene", photographs, seed=1, changes={5: lambda picture: blurred(picture, 0)})
    alignment = tmp_path / "scene" / "alignment.json"
    assert "scene_00005" not in built(tmp_path / "scene", tmp_path / "out").pairs
    before = alignment.stat().st_mtime_ns
    tolerant = Options(4, "none", margin=4, limits=Limits(min_sharpness=0.1))
    assert "scene_00005" in built(tmp_path / "scene", tmp_path / "out", tolerant).pairs
    assert alignment.stat().st_mtime_ns == before


def test_an_alignment_of_an_earlier_version_counts(photographs: NDArray[np.uint8], tmp_path: Path) -> None:
    make_scene(tmp_path / "scene", photographs, seed=1)
    pairs = built(tmp_path / "scene", tmp_path / "out").pairs
    file = tmp_path / "scene" / "alignment.json"
    content = json.loads(file.read_text())
    first = content.pop("attempts")[0]
    file.write_text(json.dumps(content | {"warps": first["warps"], "failures": {}}))
    before = file.read_text()
    assert built(tmp_path / "scene", tmp_path / "other").pairs == pairs and file.read_text() == before


# --- the published set, ranges, and the command -----------------------------------------------------------------------


def test_the_published_set_is_known_by_more_than_names(tmp_path: Path) -> None:
    for number in range(163, 563):
        (tmp_path / f"{number:05d}").mkdir()
    shot = tmp_path / "00350" / "00001.JPG"
    write_jpeg(shot, np.zeros((8, 8, 3), dtype=np.uint8), 240)
    assert not is_published(tmp_path)  # 00004 is missing
    (tmp_path / "00004").mkdir()
    assert is_published(tmp_path)
    (tmp_path / "my own").mkdir()
    assert not is_published(tmp_path)
    (tmp_path / "my own").rmdir()
    write_jpeg(shot, np.zeros((8, 8, 3), dtype=np.uint8), 200)
    assert not is_published(tmp_path)


def test_default_ranges() -> None:
    def names(scenes: int, pairs: int, form: str = "{:05d}_{:05d}") -> list[str]:
        return [form.format(scene, pair) for scene in range(scenes) for pair in range(pairs)]

    assert default_ranges(names(438, 3), 4) == ((1, 1300), (1301, 1314))
    assert default_ranges(names(438, 3, "{:05d} {:05d}_00001"), 4) == ((1, 1248), (1249, 1314))
    assert default_ranges(names(497, 1), 8) == ((1, 482), (483, 497))
    assert default_ranges(names(100, 1), 4) == ((1, 95), (96, 100))
    assert default_ranges(names(10, 3), 4) == ((1, 27), (28, 30))  # no scene does both
    assert default_ranges(names(1, 1), 8) == ((1, 1), (1, 1))
    assert default_ranges(names(10, 3), 4, (10, 12)) == ((1, 9), (10, 12))
    assert default_ranges(names(10, 3), 4, (1, 3)) == ((4, 30), (1, 3))


@pytest.mark.parametrize("option", ["data.train_range=[7,9]", "data.patch_size=4096"])
def test_a_build_does_not_fail_by_an_option_of_training(
    option: str, photographs: NDArray[np.uint8], tmp_path: Path
) -> None:
    make_scene(tmp_path / "own" / "train" / "my room", photographs, seed=1, focals=FOCALS, stems=["a", "b", "c"])
    keys = ["data=srraw", "scale=4", f"data.root={tmp_path / 'own'}", f"data.dst={tmp_path}", "data.margin=4", option]
    run = run_here("prepare", *keys, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "1 pairs of 1 scenes" in run.stdout
    assert "the pairs are made; to train on them, change an option: " in run.stdout


# --- white balance ----------------------------------------------------------------------------------------------------


def test_gains_of_a_flat_mosaic_in_closed_form(tmp_path: Path) -> None:
    """LibRaw multiplies by the balance, the least of which is one, and then by the camera's matrix."""
    light = np.array([0.1, 0.2, 0.15])
    mosaic = np.full((64, 96), light[1])
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[0], light[2]
    write_raw(tmp_path / "flat.dng", mosaic)
    with rawpy.imread(str(tmp_path / "flat.dng")) as raw:
        balances = [np.array(raw.camera_whitebalance[:3]), np.array(raw.daylight_whitebalance[:3])]
    matrix = np.array(read_raw(tmp_path / "flat.dng").matrix)
    balanced, plain = (matrix @ (balance / balance.min() * light) for balance in balances)
    red, green, green_2, blue = estimate_gains(tmp_path / "flat.dng")
    assert green == green_2
    np.testing.assert_allclose([red, green, blue], balanced / plain, rtol=2e-3)


@pytest.mark.parametrize("name", ["apple_quicktake150_church.qtk", "derived_dng/nikon_dsc1339_rggb.dng"])
def test_gains_are_those_of_the_authors(name: str, real_data: Path) -> None:
    """Means of LibRaw's pictures in full size; in half the size, the first file's blue is 3 % off."""
    path = real_data / "raw" / name
    means = []
    for balance in (True, False):
        with rawpy.imread(str(path)) as raw:
            picture = raw.postprocess(gamma=(1, 1), no_auto_bright=True, use_camera_wb=balance, output_bps=16)
            means.append(picture.mean((0, 1), dtype=np.float64))
    red, _, green, blue = estimate_gains(path)
    np.testing.assert_allclose([red, green, blue], means[0] / means[1], rtol=1e-3)


def test_a_raw_file_without_a_picture_needs_a_focal_length(tmp_path: Path) -> None:
    write_raw(tmp_path / "a.dng", np.full((64, 96), 0.2))
    with pytest.raises(PictureError, match=r"has no shots that can be used .*its EXIF tells no focal length"):
        Shots(Scene(tmp_path))
