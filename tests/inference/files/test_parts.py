"""``part=i/n``: commands of a job array share the pictures, without overlap, and leave nothing out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.inference.files.parts import check_part, part_of
from sr_lightning.inference.files.taken import Taken
from sr_lightning.upscale import upscale


def save(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((6, 9, 3), 7, np.uint8)).save(path)


def run(folder: Path, *overrides: str) -> list[str]:
    words = [f"input={folder / 'in'}", f"output={folder / 'out'}", "model=bicubic", "device=cpu", *overrides]
    return [Path(place).name for place in upscale(compose("upscale", words))]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_parts_do_not_overlap_and_leave_nothing_out(count: int) -> None:
    parts = [part_of(range(13), (number, count)) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == list(range(13))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("wrong", ["0/3", "4/3", "1", "1/0", "-1/2", "a/b", "1/2/3", 0.5])
def test_wrong_parts_are_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"must be one part of several, such as part=1/10"):
        check_part(wrong)


def test_each_part_has_its_own_pictures_and_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abcde":
        save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    assert run(tmp_path, "part=1/2") == ["a_x2.png", "c_x2.png", "e_x2.png"]
    with pytest.raises(SRError, match=r"1 of 2 pictures could not be enlarged:\n.*b\.png"):
        run(tmp_path, "part=2/2")
    capsys.readouterr()
    assert run(tmp_path, "part=9/9", "overwrite=skip") == []
    assert "part=9/9: has none of the 5 pictures" in capsys.readouterr().err


def test_twins_are_decided_over_all_parts(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.bmp")
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png")
    assert run(tmp_path, "part=1/2", "format=png") == ["a_x2.png", "b_x2.png"]
    with pytest.raises(SRError, match=r"a\.png: its result would have the name of that of a\.bmp"):
        run(tmp_path, "part=2/2", "format=png")


def test_parts_beside_their_pictures_stay_the_same_while_results_appear(tmp_path: Path) -> None:
    for name in "abcdef":
        save(tmp_path / "in" / f"{name}.png")
    words = [f"input={tmp_path / 'in'}", "model=bicubic", "device=cpu"]
    written = [str(place) for part in (1, 2, 3) for place in upscale(compose("upscale", [*words, f"part={part}/3"]))]
    assert sorted(Path(place).name for place in written) == [f"{name}_x2.png" for name in "abcdef"]


def test_names_that_are_taken_are_known() -> None:
    taken = Taken(f"out/{number}.png" for number in range(1000))
    assert all(f"out/{number}.png" in taken for number in range(1000))
    assert not any(f"out/{number}.jpg" in taken for number in range(1000)) and "x" not in Taken([])
    assert taken.numbers.nbytes == 8000
