"""Files that are whole or not there, and what killed processes leave of them."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.atomic import atomic_write, exclusive_write, is_locked, locked, remove_leftovers

FORK = multiprocessing.get_context("fork")


def write_slowly(path: Path, begun: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        begun.set()
        time.sleep(600)


def test_leftovers_of_killed_processes_are_swept_and_files_in_progress_are_not(tmp_path: Path) -> None:
    begun = FORK.Event()
    process = FORK.Process(target=write_slowly, args=(tmp_path / "photo.png", begun))
    process.start()
    assert begun.wait(300)
    (tmp_path / ".hidden-1-2.png").touch()
    remove_leftovers(tmp_path)
    (mine,) = tmp_path.glob(".photo-*.png")
    process.kill()
    process.join(300)
    assert mine.exists()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden-1-2.png"]


def hold_and_fork(path: Path, told: int) -> None:
    with locked(path):
        child = os.fork()
        if child:
            os.write(told, str(child).encode())
        time.sleep(600)


def test_what_a_killed_process_held_its_children_do_not_keep(tmp_path: Path) -> None:
    hear, told = os.pipe()
    if not (process := os.fork()):
        with suppress(BaseException):
            hold_and_fork(tmp_path / "x", told)
        os._exit(0)
    child = int(os.read(hear, 20))
    try:
        assert is_locked(tmp_path / "x")
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert not is_locked(tmp_path / "x")
        os.kill(child, 0)  # it is still there
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(hear)
        os.close(told)


def test_what_is_held_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    with locked(tmp_path / "x"):
        assert is_locked(tmp_path / "x")
    assert not is_locked(tmp_path / "x") and (tmp_path / "x").read_bytes() == b"content"


def test_one_at_a_time(tmp_path: Path) -> None:
    twice = pytest.raises(BlockingIOError)
    with (
        exclusive_write(tmp_path / "new" / "a"),
        exclusive_write(tmp_path / "new" / "b"),
        twice,
        exclusive_write(tmp_path / "new" / "a"),
    ):
        pass
    with exclusive_write(tmp_path / "new" / "a"):
        pass
    assert not any((tmp_path / "new").iterdir())


def test_who_waits_gets_the_file_that_is_there_now(tmp_path: Path) -> None:
    """Not the one that its holder took away meanwhile."""
    with locked(tmp_path / "x"):
        assert is_locked(tmp_path / "x")
        (tmp_path / "x").unlink()
        with locked(tmp_path / "x", wait=False):
            (tmp_path / "x").write_bytes(b"new")
    assert (tmp_path / "x").read_bytes() == b"new" and not is_locked(tmp_path / "x")


def test_without_locks_everything_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("all")
        remove_leftovers(tmp_path)
    assert (tmp_path / "x").read_text() == "all"
