"""The whole set: what is left out and why, what a second run does, and what a killed one leaves."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from running import Forked, run_here
from sr_lightning.data.srraw import SRRAW, pipeline
from sr_lightning.data.srraw.build import build_scene
from sr_lightning.data.srraw.files import parse_tform, parse_wb
from sr_lightning.data.srraw.options import Options
from sr_lightning.data.srraw.pipeline import build_set
from sr_lightning.errors import DataError
from srraw_mini import BLACK, WHITE, Truth, write_jpeg

OPTIONS = Options(4, "diff", margin=4)
NAMES = ["00001_00005", "00001_00006", "00002_00005", "00002_00006"]


@pytest.fixture
def root(mini: tuple[Path, dict[str, Truth]], tmp_path: Path) -> Path:
    """A copy of the miniature, as untouched as the published set."""
    copy = tmp_path / "sr_raw"
    shutil.copytree(mini[0], copy, ignore=shutil.ignore_patterns("*.txt", "*.json"))
    return copy


def outputs(out: Path) -> dict[str, bytes]:
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and ".scenes" not in p.parts
    }


def times(out: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.parent.name in ("LR", "HR", "ARW", "Diff")
    }


def test_the_layout_and_the_report(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "X4"
    (root / "train" / "00002" / "00006.ARW").write_bytes(b"no RAW file")
    build_set(root, out, OPTIONS, workers=2)
    told = capsys.readouterr().out
    names = [name for name in NAMES if name != "00002_00006"]
    expected = [f"train/{kind}/{name}.png" for kind in ("LR", "HR", "Diff") for name in names]
    expected += [f"train/ARW/{name}.npy" for name in names] + ["train/wb.txt"]
    assert sorted(name for name in outputs(out) if name.startswith("train")) == sorted(expected)
    assert sorted(parse_wb(out / "train" / "wb.txt")) == names
    assert "SR-RAW x4 train: 3 pairs of 2 scenes; 1 left out" in told
    assert "without 00002_00006" in told and "no RAW file that LibRaw can read" in told
    assert "without 00003_00005: 00005 is not aligned: ECC does not converge" in told
    assert "SR-RAW x4 test: 2 pairs of 1 scenes; 0 left out" in told
    warps, corner, _ = parse_tform(root / "train" / "00001" / "tform.txt")
    assert sorted(warps) == [1, 2, 3, 4, 5, 6] and corner is not None and corner[1] - corner[0] > 190
    assert sorted(parse_wb(root / "train" / "00001" / "wb.txt")) == [f"{i:05d}" for i in range(1, 7)]


def test_a_second_run_makes_only_what_is_missing(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "X4"
    build_set(root, out, OPTIONS)
    first, made = times(out), outputs(out)
    build_set(root, out, OPTIONS)
    assert times(out) == first
    build_set(root, out, Options(4, "edge", margin=4))
    assert {path: at for path, at in times(out).items() if path in first} == first
    assert (out / "train" / "Edge" / "00001_00005.png").is_file()
    (out / "train" / "HR" / "00001_00006.png").unlink()
    (out / "train" / "Diff" / "00002_00006.png").unlink()
    build_set(root, out, OPTIONS)
    assert {name: data for name, data in outputs(out).items() if "Edge" not in name} == made

    write_jpeg(root / "train" / "00002" / "00005.JPG", np.full((208, 352, 3), 99, dtype=np.uint8), 50.0, 3)
    build_set(root, out, OPTIONS)  # a shot has changed
    assert sorted(p.stem for p in (out / "train" / "HR").iterdir()) == [n for n in NAMES if n != "00002_00005"]
    assert outputs(out)["train/HR/00001_00005.png"] == made["train/HR/00001_00005.png"]


def test_scenes_that_are_not_as_they_should_be(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = root / "train"
    shutil.rmtree(root / "test")
    shutil.rmtree(train / "00003")
    for name in ("00005", "00006", "00007", "00008"):
        shutil.copytree(train / "00001", train / name)
    write_jpeg(train / "00005" / "00003.JPG", np.zeros((208, 352, 3), dtype=np.uint8), 300.0)
    write_jpeg(train / "00006" / "00002.JPG", np.zeros((200, 352, 3), dtype=np.uint8), 150.0)
    (train / "00007" / "00001.JPG").write_bytes((train / "00007" / "00001.JPG").read_bytes()[:9000])
    (train / "00008" / "00001.JPG").unlink()
    build_set(root, tmp_path / "X4", OPTIONS)
    told = capsys.readouterr().out
    assert "9 pairs of 6 scenes; 0 left out" in told
    without = [line for line in told.splitlines() if line.startswith("  without ")]
    assert [line.split()[1] for line in without] == ["00006_00006:", "00007_00005:", "00008_00005:"]
    assert "00002.JPG: has 200x352 pixels, other shots of the scene 208x352" in without[0]
    assert "00001 is not aligned: " in without[1] and "00001.JPG: is damaged" in without[1]
    assert "00001 is not aligned: it has no JPEG, which other shots of the scene have" in without[2]
    # The longest focal length that can be used is what the others are aligned with.
    references = [parse_tform(train / name / "tform.txt")[2] for name in ("00005", "00006", "00007", "00008")]
    assert references == [1, 1, 2, 2]


def test_an_edited_tform_counts(root: Path, tmp_path: Path) -> None:
    out, tform = tmp_path / "X4", root / "train" / "00001" / "tform.txt"
    build_set(root, out, OPTIONS)
    before = outputs(out)
    text = tform.read_text()
    lines = text.splitlines(keepends=True)
    tform.write_text("".join(lines[:-2]))  # without the corner; the same warps, in four digits
    build_set(root, out, OPTIONS)
    after = outputs(out)
    assert tform.read_text() == "".join(lines[:-2])
    assert after["train/HR/00002_00005.png"] == before["train/HR/00002_00005.png"]
    name = "train/HR/00001_00005.png"
    assert after[name] != before[name] and after["train/LR/00001_00005.png"] == before["train/LR/00001_00005.png"]


def test_known_damage_is_left_out_unless_mended(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = root / "train"
    (train / "00001").rename(train / "00004")
    (train / "00002").rename(train / "00350")
    shutil.copytree(train / "00350", train / "00001")
    build_set(root, tmp_path / "own", OPTIONS)  # three scenes that happen to be called so
    told = capsys.readouterr().out
    assert "SR-RAW x4 train: 6 pairs of 3 scenes" in told and "known" not in told
    for number in range(500, 900):
        (train / f"{number:05d}").mkdir()
    before = sorted(path.name for path in (train / "00350").iterdir())
    build_set(root, tmp_path / "X4", OPTIONS)
    told = capsys.readouterr().out
    assert "data.repair=true would make 4 moves and delete nothing" in told
    assert "without 00350: is known to be damaged; data.repair=true mends it" in told
    assert "without 00004: is known to be beyond alignment" in told
    assert sorted(path.name for path in (train / "00350").iterdir()) == before
    build_set(root, tmp_path / "X4", OPTIONS, mend=True)
    assert not (train / "00350" / "00005.JPG").exists()
    assert (root / "damaged" / "train" / "00350" / "00005.JPG").is_file()
    assert "without 00350: is known" not in capsys.readouterr().out


def test_nothing_usable_is_an_error(root: Path, tmp_path: Path) -> None:
    for scene in ("00001", "00002"):
        shutil.rmtree(root / "train" / scene)
    with pytest.raises(DataError, match="none of the 1 scenes could be used"):
        build_set(root, tmp_path / "X4", OPTIONS)


def test_pairs_of_others_are_left_alone(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "X4" / "train" / "HR" / "00001_00005.png"
    theirs.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(theirs)
    build_set(root, tmp_path / "X4", OPTIONS)
    assert "made elsewhere" in capsys.readouterr().out
    assert [path.name for path in theirs.parent.iterdir()] == [theirs.name]


@pytest.mark.parametrize("after", ["ARW/*.npy", "HR/*.png"])
def test_a_killed_run_leaves_no_half_file_and_is_taken_up(after: str, root: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole" / "X4", tmp_path / "killed" / "X4"
    program = (
        "import sys; from pathlib import Path; from sr_lightning.data.srraw.options import Options;"
        "from sr_lightning.data.srraw.pipeline import build_set;"
        "build_set(Path(sys.argv[1]), Path(sys.argv[2]), Options(4, 'diff', margin=4), workers=1)"
    )
    run = Forked(program, str(root), str(out), cwd=tmp_path)
    while run.poll() is None and not list(out.glob(f"train/{after}")):
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    for path in out.rglob("[!.]*.png"):
        Image.open(path).load()
    for path in out.rglob("[!.]*.npy"):
        np.load(path)
    build_set(root, out, OPTIONS)
    build_set(root, whole, OPTIONS)
    assert outputs(out) == outputs(whole)


@pytest.mark.parametrize("dies_at", ["00002", "00010"])
def test_a_killed_rebuild_is_not_taken_for_finished(
    dies_at: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs of both options lie in the folder: no training may begin on them, and the next run finishes."""
    out = tmp_path / "SRRAW" / "X4"
    build_set(root, out, OPTIONS)

    def dies(folder: Path, *rest: Any) -> Any:
        if folder.name == dies_at:
            raise KeyboardInterrupt
        return build_scene(folder, *rest)

    wider = Options(4, "diff", margin=8)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipeline, "build_scene", dies)
        build_set(root, out, wider, workers=1)
    in_test = dies_at == "00010"
    assert (out / "train" / "wb.txt").is_file() == in_test and not (out / "test" / "wb.txt").exists()

    options: dict[str, Any] = {"train_range": (1, 3), "val_range": (4, 4), "patch_size": 32, "val_crop": 32}
    options |= {"margin": 8, "num_workers": 0, "batch_size": 1}
    alone = SRRAW(4, None, str(tmp_path), **options)
    with pytest.raises(DataError, match=r"its pairs are not all made, and some may be of other options"):
        alone.setup("test" if in_test else "fit")
    first = times(out / "train")
    training = SRRAW(4, str(root), str(tmp_path), **options)
    training.trainer = object()  # type: ignore[assignment]
    training.prepare_data()
    assert (times(out / "train") == first) == in_test
    whole = tmp_path / "whole"
    build_set(root, whole, wider)
    assert outputs(out) == outputs(whole)


def test_training_finishes_one_part_and_leaves_the_other(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "X4"
    build_set(root, out, OPTIONS, parts=["train"])
    made = outputs(out)
    assert made and not (out / "test").exists()
    build_set(root, out, Options(4, "diff", margin=8), parts=["test"])
    assert {name: data for name, data in outputs(out).items() if name.startswith("train")} == made
    assert (out / "test" / "wb.txt").is_file()


@pytest.mark.parametrize(
    ("lost", "why"),
    [("00002", "00002 is not aligned: it is missing"), ("00005.JPG", "00005 is not aligned: it has no JPEG")],
)
def test_a_given_tform_may_name_shots_that_are_missing(
    lost: str, why: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / "test")
    scene = root / "train" / "00001"
    identity = "1 0 0\n0 1 0\n"
    (scene / "tform.txt").write_text("".join(f"00001-{frame:05d}:\n{identity}" for frame in range(1, 7)))
    for path in scene.glob(f"{lost}*"):
        path.unlink()
    (scene / "00003.JPG").write_bytes((scene / "00003.JPG").read_bytes()[:9000])  # only views need it
    build_set(root, tmp_path / "X4", Options(4, "none", margin=4, views=True))
    told = capsys.readouterr().out
    assert "3 pairs of 2 scenes; 1 left out" in told and why in told
    assert "without views of 00001: " in told and "00003.JPG: is damaged" in told


@pytest.mark.parametrize("file", ["tform.txt", "wb.txt"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"00001-00005:\n1 0 inf 0\n0 1 0\n"])
def test_a_scene_with_a_damaged_text_is_left_out_until_it_is_mended(
    file: str, content: bytes, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / "test")
    damaged = root / "train" / "00002" / file
    damaged.write_bytes(content)
    build_set(root, tmp_path / "X4", OPTIONS)
    told = capsys.readouterr().out
    assert "2 pairs of 1 scenes; 2 left out" in told and f"without 00002: {damaged}: " in told
    damaged.unlink()
    build_set(root, tmp_path / "X4", OPTIONS)
    assert "4 pairs of 2 scenes; 1 left out" in capsys.readouterr().out


def test_views_and_levels(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "test")
    build_set(root, tmp_path / "own", OPTIONS)
    build_set(root, tmp_path / "given", Options(4, "none", margin=4, levels=(0.0, 65535.0), views=True))
    name = "train/ARW/00001_00005.npy"
    samples = np.load(tmp_path / "own" / name) * (WHITE - BLACK) + BLACK
    np.testing.assert_allclose(np.load(tmp_path / "given" / name) * 65535, samples, atol=0.01)
    views = {path.relative_to(root / "train").as_posix() for path in root.glob("train/*/*/*.jpg")}
    frames = [f"{frame:05d}" for frame in range(1, 7)]
    scenes, kinds = ("00001", "00002"), ("cropped", "aligned", "compare")
    assert views == {f"{scene}/{kind}/{frame}.jpg" for scene in scenes for kind in kinds for frame in frames}
    first = np.array(Image.open(root / "train" / "00001" / "00001.JPG")).astype(float)
    aligned = np.array(Image.open(root / "train" / "00001" / "aligned" / "00002.jpg")).astype(float)
    cropped = np.array(Image.open(root / "train" / "00001" / "cropped" / "00002.jpg")).astype(float)
    inner = (slice(10, 190), slice(10, 330))
    assert np.abs(aligned - first)[inner].mean() < 0.9 * np.abs(cropped - first[: len(cropped)])[inner].mean()


def test_the_command(root: Path, tmp_path: Path) -> None:
    options = ["data=srraw", "scale=8", f"data.root={root}", f"data.dst={tmp_path}", "data.margin=4"]
    options += ["data.patch_size=64", "data.train_range=[1,1]", "data.val_range=[2,2]", "data.num_workers=0"]
    run = run_here("prepare", *options, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "SR-RAW x8 train: 2 pairs of 2 scenes; 1 left out" in run.stdout
    assert "training: 1 pictures" in run.stdout
    for scene in ("00001", "00002"):
        shutil.rmtree(root / "train" / scene)
    run = run_here("prepare", *options, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("error: ") and "none of the 1 scenes could be used" in run.stderr
