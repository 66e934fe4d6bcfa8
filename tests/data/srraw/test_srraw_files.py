"""Text files in their original format, EXIF, and the repair of the published folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.srraw.files import format_tform, format_wb, parse_tform, parse_wb
from sr_lightning.data.srraw.repair import broken_scenes, plan_moves, repair
from sr_lightning.data.srraw.scene import Scene, find_scenes, read_exif
from sr_lightning.errors import DataError, PictureError
from srraw_mini import write_jpeg

TFORM = """00001-00001:
1.0000 0.0000 0.0000
0.0000 1.0000 0.0000
00001-00003:
1.0035 0.0000 -0.6561
0.0033 1.0004 -11.1531
corner:
00003 05302 00007 07948
"""
WB = """WB
00001/00001:
1.9375 1.0000 1.0000 1.6133
/data/SRRAW/train/00001/00005:
0.9542 0.9912 0.9912 1.1114
"""


def test_tform_is_what_the_authors_write(tmp_path: Path) -> None:
    warps = {1: np.eye(3), 3: np.array([[1.00351, -0.00001, -0.65609], [0.0033, 1.0004, -11.1531], [0, 0, 1]])}
    assert format_tform(warps, (3, 5302, 7, 7948)) == TFORM
    path = tmp_path / "tform.txt"
    path.write_text(TFORM)
    again, corner, reference = parse_tform(path)
    assert corner == (3, 5302, 7, 7948) and sorted(again) == [1, 3] and reference == 1
    for frame, warp in warps.items():
        np.testing.assert_allclose(again[frame], warp, atol=5.1e-5)
    assert format_tform(again, corner) == TFORM


def test_wb_is_what_the_authors_write(tmp_path: Path) -> None:
    path = tmp_path / "wb.txt"
    path.write_text(WB)
    gains = parse_wb(path)
    assert gains == {"00001": (1.9375, 1, 1, 1.6133), "00005": (0.9542, 0.9912, 0.9912, 1.1114)}
    assert (
        format_wb({f"00001/{key}": row for key, row in gains.items()}).splitlines()[2] == "1.9375 1.0000 1.0000 1.6133"
    )
    path.write_text("WB\n00001/00005: [1.5, 1.0, 1.0, 2.0]\n")  # all on one line
    assert parse_wb(path) == {"00005": (1.5, 1, 1, 2)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("00001-00002:\n1 0 0\n0 1\n", "00001-00002: is followed by 5 numbers"),
        ("1 0 0\n", "'1' is out of place"),
        ("00001-00002:\n1 0 zero\n", "'zero' is out of place"),
        ("00001-00002:\n1 0 0\n1 0 0\n", "00001-00002: is not a usable warp"),
        ("corner:\n1 2 3\n", "corner: is followed by 3 numbers"),
        ("corner:\n0 inf 0 9\n", "'inf' is out of place; .* finite numbers"),
        ("00001-00002:\n1 0 inf\n0 1 0\n", "'inf' is out of place"),
        ("00001-00002:\n1 0 nan\n0 1 0\n", "'nan' is out of place"),
    ],
)
def test_damaged_tform_is_explained(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "tform.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        parse_tform(path)


@pytest.mark.parametrize("number", ["inf", "nan", "1e999", "0", "-1"])
def test_white_balance_is_above_0_and_finite(number: str, tmp_path: Path) -> None:
    path = tmp_path / "wb.txt"
    path.write_text(f"WB\n00001/00005:\n1.5 1.0 1.0 {number}\n")
    with pytest.raises(DataError, match=r"wb\.txt: "):
        parse_wb(path)


def test_exif(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_jpeg(path, np.zeros((8, 8, 3), dtype=np.uint8), 35.5, 3)
    assert read_exif(path) == (35.5, 3)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(PictureError, match="its EXIF tells no focal length"):
        read_exif(path)
    path.write_bytes(b"no picture")
    with pytest.raises(PictureError, match="cannot be read"):
        read_exif(path)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_are_read_as_the_sensor_lay(orientation: int, tmp_path: Path) -> None:
    pixels = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3)[..., None] * 40, np.ones((8, 8, 3), dtype=np.uint8))
    write_jpeg(tmp_path / "00001.JPG", pixels, 240, orientation)
    shot = Scene(tmp_path).shots()[0]["00001"]
    read = shot.read(upside_down=False)
    assert np.abs(read.astype(int) - pixels).max() <= 2
    assert np.array_equal(shot.read(upside_down=True), read[::-1, ::-1])


def test_no_scenes(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    write_jpeg(tmp_path / "loose.jpg", np.zeros((8, 8, 3), dtype=np.uint8), 50)
    with pytest.raises(DataError, match="has no scenes; expected is a folder for each"):
        find_scenes(tmp_path)


# --- repair -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The damaged scenes as published; every file says where it came from."""
    train = tmp_path / "train"
    for scene, frames in (("00350", 7), ("00560", 6), ("00561", 6), ("00562", 7)):
        for frame in range(1, frames + 1):
            for ending in ("ARW", "JPG"):
                path = train / scene / f"{frame:05d}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{scene}/{frame}.{ending}")
    (train / "00561" / "tform.txt").write_text("of other shots")
    return train


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_plan_changes_nothing(damaged: Path) -> None:
    before = tree(damaged.parent)
    moves = plan_moves(damaged)
    assert broken_scenes(moves) == {"00350", "00560", "00561"} and tree(damaged.parent) == before


def check_repaired(damaged: Path, before: dict[str, str]) -> None:
    after = tree(damaged.parent)
    assert sorted(after.values()) == sorted(before.values())  # nothing is lost
    for ending in ("ARW", "JPG"):
        scene = [after.get(f"train/00561/{frame:05d}.{ending}") for frame in range(1, 8)]
        assert scene == [f"00560/6.{ending}", *(f"00561/{frame}.{ending}" for frame in range(1, 7))]
        assert f"train/00560/00006.{ending}" not in after
        assert [f for f in range(1, 8) if f"train/00350/{f:05d}.{ending}" in after] == [1, 2, 3, 4]
        assert after[f"damaged/train/00350/00006.{ending}"] == f"00350/6.{ending}"
        assert after[f"train/00562/00007.{ending}"] == f"00562/7.{ending}"
    assert after["damaged/train/00561/tform.txt"] == "of other shots"


def test_repair(damaged: Path) -> None:
    before = tree(damaged.parent)
    assert len(repair(damaged)) == 6 + 1 + 12 + 2
    check_repaired(damaged, before)
    assert plan_moves(damaged) == [] and repair(damaged) == []


@pytest.mark.parametrize("killed_after", range(0, 21, 3))
def test_repair_goes_on_where_it_was_killed(killed_after: int, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename, left = tree(damaged.parent), Path.rename, [killed_after]

    def dies(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", dies)
        repair(damaged)
    assert broken_scenes(plan_moves(damaged)) == {"00350", "00560", "00561"}
    repair(damaged)
    check_repaired(damaged, before)
    assert plan_moves(damaged) == []
