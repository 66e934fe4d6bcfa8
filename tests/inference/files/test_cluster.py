"""``cluster=ray``: the pixels of one process, failures at the end, nothing lost or done twice when a worker dies."""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.inference.files import cluster
from sr_lightning.inference.files.account import Fate
from sr_lightning.inference.files.cluster import job_of, row_of
from sr_lightning.inference.files.journal import Journal
from sr_lightning.inference.files.targets import Job
from sr_lightning.upscale import upscale

COUNT, BAD = 48, 30
TAG = "SR_TEST_RAY"


@pytest.fixture(scope="module")
def tag() -> Iterator[str]:
    """Ray on this machine, whose processes carry the tag."""
    pytest.importorskip("ray", reason='pip install "sr_lightning[ray]"')
    if not sys.platform.startswith("linux"):
        pytest.skip("finds workers in /proc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TAG, secrets.token_hex(8))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.delenv("RAY_ADDRESS", raising=False)
        with cluster.ray_here(cores=2):
            yield os.environ[TAG]


def workers(tag: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{TAG}={tag}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if ours and (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def run(folder: Path, output: str, *overrides: str) -> list[str]:
    words = [f"input={folder / 'in'}", f"output={folder / output}", "model=fsrcnn", "device=cpu", *overrides]
    return [Path(place).name for place in upscale(compose("upscale", words))]


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("[!.]*.png"))}


@pytest.mark.slow
def test_a_worker_dies_and_nothing_is_lost_or_done_twice(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    for number in range(COUNT):
        (tmp_path / "in").mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number:02d}.png")
    (tmp_path / "in" / f"{BAD}.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    with pytest.raises(SRError, match=f"1 of {COUNT} pictures"):
        run(tmp_path, "alone")
    capsys.readouterr()

    written: dict[str, int] = {}

    def kill_in_the_middle() -> None:
        """When some of the one block is done, and more of it is not."""
        end = time.monotonic() + 120
        while len(times(tmp_path / "out")) < 6 and time.monotonic() < end:
            time.sleep(0.005)
        for victim in workers(tag):
            os.kill(victim, signal.SIGSTOP)  # so that what it has written is known
            written.update(times(tmp_path / "out"))
            os.kill(victim, signal.SIGKILL)

    monkeypatch.setattr(cluster, "BLOCKS", 1)
    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    with pytest.raises(SRError, match=rf"^1 of {COUNT} pictures could not be enlarged:\n.*{BAD}\.png: ") as caught:
        run(tmp_path, "out", "cluster=ray", "workers=1")
    killer.join()
    assert str(caught.value).count("\n") == 1
    out, errors = capsys.readouterr()
    alone, there = times(tmp_path / "alone"), times(tmp_path / "out")
    assert sorted(Path(line).name for line in out.splitlines()) == sorted(alone) == sorted(there)
    for name in alone:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert 6 <= len(written) < COUNT - 1
    assert sum(there[name] != when for name, when in written.items()) <= 1  # the picture in hand
    assert "a worker died" in errors and "Traceback" not in errors

    removed = [f"{number:02d}_x2.png" for number in (3, 5, 7, 9)]
    for name in removed:
        (tmp_path / "out" / name).unlink()
    (tmp_path / "in" / f"{BAD}.png").unlink()
    assert sorted(run(tmp_path, "out", "cluster=ray", "workers=2", "overwrite=skip")) == removed
    assert f"skipped {COUNT - 1 - len(removed)} of {COUNT - 1} pictures" in capsys.readouterr().err
    again = times(tmp_path / "out")
    assert sorted(again) == sorted(alone)
    assert [name for name in again if again[name] != there[name]] == removed

    with pytest.raises(ConfigError, match=r"^workers=99: Ray has 2 cores; type workers=2 or less$"):
        run(tmp_path, "out", "cluster=ray", "workers=99", "overwrite=true")


def test_a_row_holds_names_alone() -> None:
    job = Job(Path("a b.png"), Path("out"), Path("twin.png"), "s3://bucket/a b.png", "s3://bucket/out")
    for each in (job, Job(Path("a.png"), Path("out"))):
        assert job_of(row_of(each)) == each


def test_the_journal_knows_what_is_done_until_it_has_arrived() -> None:
    journal = Journal()
    journal.note(1, Fate(["a"]))
    journal.note(2, Fate([], "broken"))
    assert journal.known([1, 3]) == {1: Fate(["a"])}
    journal.forget([1, 3])
    assert journal.known([1, 2]) == {2: Fate([], "broken")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cluster=dask"], "cluster=dask: must be ray"),
        (["workers=2"], "workers=2: is for cluster=ray; type cluster=ray workers=2"),
        (["cluster=ray", "workers=0"], "workers=0: must be a whole number above 0"),
        (["cluster=ray", "burst=true"], "cluster=ray: a burst has one result"),
        (["part=1/2", "burst=true"], "part=1/2: a burst has one result"),
    ],
)
def test_what_cannot_work_is_refused(words: list[str], sentence: str, tmp_path: Path) -> None:
    Image.new("RGB", (6, 9)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=sentence):
        upscale(compose("upscale", [f"input={tmp_path}", "model=bicubic", *words]))


def test_ray_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (6, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr("sr_lightning.inference.settings.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'^cluster=ray: Ray is not installed; pip install "sr_lightning\[ray\]"$'):
        upscale(compose("upscale", [f"input={tmp_path}", "model=bicubic", "cluster=ray"]))


def test_an_address_without_a_cluster_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='pip install "sr_lightning[ray]"')
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray tries for minutes"))
        with (
            pytest.raises(ConfigError, match=rf"^RAY_ADDRESS={address}: no cluster answers there \(.*refused\)"),
            cluster.ray_here(),
        ):
            pass
