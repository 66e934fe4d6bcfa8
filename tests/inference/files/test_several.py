"""Of several files, one is read and one is written while one is computed, and nobody sees a difference."""

import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from running import Forked
from sr_lightning.config import compose
from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.data.files.pages.reading import read_page
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import SRError
from sr_lightning.inference.files import enlarging, several
from sr_lightning.inference.memory import leaves_room
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.upscale import upscale

NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(np.full((6, 9 + number, 3), number, np.uint8)).save(tmp_path / "in" / name)
    return tmp_path


def run(folder: Path, *overrides: str) -> list[Path]:
    words = ["model=bicubic", "device=cpu", f"input={folder / 'in'}", f"output={folder / 'out'}", *overrides]
    return upscale(compose("upscale", words))


def results(folder: Path, *names: str) -> list[Path]:
    return [folder / "out" / name.replace(".", "_x2.") for name in names]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done, as it begins and ends, such as ``+read b``."""
    noted: list[str] = []

    def noting(what: str, name_of: Callable[..., str], work: Callable[..., Any]) -> Callable[..., Any]:
        def noted_work(*args: Any, **options: Any) -> Any:
            noted.append(f"+{what} {name_of(*args)}")
            try:
                return work(*args, **options)
            finally:
                noted.append(f"-{what} {name_of(*args)}")

        return noted_work

    def compute(opened: enlarging.Opened, *rest: Any) -> Photo:
        number = NAMES.index(opened.source.name)
        if 0 < number < len(NAMES) - 1:
            wait_for(lambda: f"-read {NAMES[number + 1][0]}" in noted)
            wait_for(lambda: f"-write {NAMES[number - 1][0]}" in noted)
        return enlarging.compute(opened, *rest)

    monkeypatch.setattr(several, "read", noting("read", lambda job, *_: job.source.stem, enlarging.read))
    monkeypatch.setattr(several, "compute", noting("compute", lambda opened, *_: opened.source.stem, compute))
    monkeypatch.setattr(several, "write", noting("write", lambda opened, *_: opened.source.stem, enlarging.write))
    return noted


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


def test_one_is_read_and_one_written_while_one_is_computed(folder: Path, events: list[str]) -> None:
    assert run(folder) == results(folder, *NAMES)
    for number, path in enumerate(results(folder, *NAMES)):
        assert read_photo(path).pixels.shape == (12, 18 + 2 * number, 3)
        assert (read_photo(path).pixels == number).all()
    for last, name, following in zip("abc", "bcd", "cde", strict=True):
        end = events.index(f"-compute {name}")
        assert events.index(f"-compute {last}") < events.index(f"+read {following}")  # no more than one ahead
        assert events.index(f"-read {following}") < end
        assert events.index(f"-write {last}") < end < events.index(f"+write {name}")


def test_the_first_picture_is_computed_alone(folder: Path, events: list[str]) -> None:
    """The network is prepared with it, for which a photograph is read, and engines turn warnings off."""
    run(folder)
    assert events[:4] == ["+read a", "-read a", "+compute a", "-compute a"]


def test_failures_are_told_for_their_pictures_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")

    def write(path: Path, *rest: Any, **options: Any) -> None:
        if path.stem.startswith("c"):
            raise OSError(28, "No space left on device", str(path))
        write_photo(path, *rest, **options)

    def photo(self: Upscaler, photo: Photo, **options: Any) -> Photo:
        if photo.pixels.shape[1] == 12:
            raise MemoryError("too much")
        return enlarge(self, photo, **options)

    enlarge = Upscaler.photo
    monkeypatch.setattr(enlarging, "write_photo", write)
    monkeypatch.setattr(Upscaler, "photo", photo)
    with pytest.raises(SRError) as caught:
        run(folder)
    first, *failed = str(caught.value).split("\n  ")
    assert first == "3 of 5 pictures could not be enlarged:"
    assert ["b.png" in failed[0], "c_x2.png: No space" in failed[1], "d.png: not enough memory" in failed[2]] == [
        True
    ] * 3
    assert sorted((folder / "out").iterdir()) == results(folder, "a.png", "e.png")


def test_results_that_exist_are_skipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out").mkdir()
    for path in results(folder, "b.png", "d.png"):
        path.write_bytes(b"precious")
    assert run(folder, "overwrite=skip") == results(folder, "a.png", "c.png", "e.png")
    assert "skipped 2 of 5 pictures" in capsys.readouterr().err
    assert results(folder, "b.png")[0].read_bytes() == b"precious"


def test_warnings_go_with_their_picture(
    folder: Path, events: list[str], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Also those of a network that computes while the next picture is read."""
    computing = threading.Event()

    def read_slowly(path: Path, *which: Any) -> Photo:
        warnings.warn("a word of the decoder", stacklevel=2)
        if path.stem == "c":
            assert computing.wait(20)
        return read_page(path, *which)

    def photo(self: Upscaler, photo: Photo, **options: Any) -> Photo:
        if photo.pixels.shape[1] == 10:  # of b, while c is read
            wait_for(lambda: "+read c" in events)
            time.sleep(0.01)
            self.on_warning("noise")
            computing.set()
        return enlarge(self, photo, **options)

    enlarge = Upscaler.photo
    monkeypatch.setattr(enlarging, "read_page", read_slowly)
    monkeypatch.setattr(several, "compute", enlarging.compute)
    monkeypatch.setattr(Upscaler, "photo", photo)
    run(folder)
    said = [str(warning.message).rpartition("/")[2] for warning in recwarn]
    decoder = [f"{name}: a word of the decoder" for name in NAMES]
    assert said == [*decoder[:2], "b.png: noise", *decoder[2:]]


def test_what_is_large_is_done_alone(folder: Path, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "in" / "a.png"  # 6x9 pixels and 12x18 of the result, 3 bytes each
    assert leaves_room(path, 4 * 810 / 1e9, lambda height, width: (2 * height, 2 * width))
    assert not leaves_room(path, 4 * 809 / 1e9, lambda height, width: (2 * height, 2 * width))
    monkeypatch.setattr(several, "leaves_room", lambda path, *_: path.stem != "c")

    def alone(job: Any, *rest: Any) -> list[Path]:
        assert events[-1] == "-write b"
        events.append("alone c")
        return enlarging.upscale_file(job, *rest)

    monkeypatch.setattr(several, "upscale_file", alone)
    monkeypatch.setattr(several, "compute", enlarging.compute)
    assert run(folder) == results(folder, *NAMES)
    assert events[events.index("alone c") + 1] == "+read d"


def test_an_interruption_waits_for_the_file_that_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual, interrupted = enlarging.write, threading.Event()

    def write(*args: Any) -> Path:
        assert interrupted.wait(20)
        return usual(*args)

    def compute(opened: enlarging.Opened, *rest: Any) -> Photo:
        if opened.source.stem == "b":
            threading.Timer(0.05, interrupted.set).start()
            raise KeyboardInterrupt
        return enlarging.compute(opened, *rest)

    monkeypatch.setattr(several, "write", write)
    monkeypatch.setattr(several, "compute", compute)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert capsys.readouterr().out.split() == [str(path) for path in results(folder, "a.png")]
    assert list((folder / "out").iterdir()) == results(folder, "a.png")


def test_results_are_told_as_they_are_written_also_if_nobody_listens(folder: Path) -> None:
    """Nothing is kept until the end, and ``| head`` does not stop the work."""
    out = Forked("from sr_lightning.upscale import main; main()", "in", "model=bicubic", "output=out", cwd=folder)
    first = out.stdout.readline()
    out.stdout.close()
    assert out.wait(60) == 0
    assert first == "out/a_x2.png\n" and sorted((folder / "out").iterdir()) == results(folder, *NAMES)
    assert "Traceback" not in out.stderr.read()


def test_a_result_of_another_format_is_no_reason_to_skip(folder: Path) -> None:
    frames = [Image.fromarray(np.full((6, 9, 3), value, np.uint8)) for value in (0, 255)]
    for name in NAMES:
        (folder / "in" / name).unlink()
    frames[0].save(folder / "in" / "a.gif", save_all=True, append_images=frames[1:])
    (folder / "out").mkdir()
    (folder / "out" / "a_x2.png").write_bytes(b"of another picture")
    assert run(folder, "overwrite=skip", "format=gif") == [folder / "out" / "a_x2.gif"]
    (folder / "out" / "a_x2.gif").unlink()
    assert run(folder, "overwrite=skip") == [folder / "out" / "a_x2.gif"]
    assert run(folder, "overwrite=skip", "format=webp") == [folder / "out" / "a_x2.webp"]
    assert run(folder, "overwrite=skip", "format=gif") == []
