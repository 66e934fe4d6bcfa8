"""``cluster=ray``: the pixels of one process, failures at the end, nothing lost or done twice when a worker dies."""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, Interrupted, SRError
from sr_lightning.inference.files import cluster, enlarging, several
from sr_lightning.inference.files.account import Fate
from sr_lightning.inference.files.cluster import Worker, computes_on_gpus, job_of, row_of, shares
from sr_lightning.inference.files.journal import Journal
from sr_lightning.inference.files.ray_here import ray_here
from sr_lightning.inference.files.taken import Taken
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
        with ray_here(cores=2):
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
    job = Job(Path("a b.png"), Path("out"), "twin.png", "s3://bucket/a b.png", "s3://bucket/out")
    for each in (job, Job(Path("a.png"), Path("out"))):
        assert job_of(row_of(each)) == each


def test_the_journal_knows_what_is_done_until_it_has_arrived() -> None:
    journal = Journal()
    journal.note(1, Fate(["a"]))
    journal.note(2, Fate([], "broken"))
    assert journal.known([1, 3]) == {1: Fate(["a"])}
    journal.forget([1, 3])
    assert journal.known([1, 2]) == {2: Fate([], "broken")}


def test_the_journal_counts_what_was_begun_and_has_no_end() -> None:
    journal = Journal()
    for number in (1, 2, 2, 3, 4):
        journal.begin(number)
    journal.note(1, Fate(["a"]))
    journal.forget([4])
    assert journal.begun([1, 2, 3, 4, 5]) == {2: 2, 3: 1}


class Death(BaseException):
    """Of a worker."""


class Actor:
    """As Ray's actors are called, in this process; a dead worker calls none."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self.callers_live = journal, True

    def __getattr__(self, name: str) -> Any:
        if not self.callers_live:
            raise Death
        return SimpleNamespace(remote=getattr(self._journal, name))


class AtOnce(futures.Executor):
    """In place of a thread: what it does always comes before what goes on meanwhile."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        done = futures.Future[Any]()
        done.set_result(work(*args, **kwargs))
        return done


@pytest.mark.parametrize(("step", "most"), [("read", 3), ("compute", 2)])
def test_a_picture_that_ends_its_worker_twice_has_failed_and_no_other(
    step: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told from the one before it, which is computed while it is read, and from the one written then."""
    for number in range(6):
        Image.new("RGB", (9, 6)).save(tmp_path / f"{number}.png")
    usual: Callable[..., Any] = getattr(enlarging, step)

    def deadly(what: Any, *rest: Any) -> Any:
        if what.source.name == "3.png":
            actor.callers_live = False
            raise Death
        return usual(what, *rest)

    for module in (enlarging, several):
        monkeypatch.setattr(module, step, deadly)
    monkeypatch.setattr(several, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda result: result))
    actor, cfg = Actor(Journal()), compose("upscale", ["model=bicubic", "name=bicubic", "device=cpu", "memory=1"])
    jobs = [Job(tmp_path / f"{number}.png", tmp_path / "out") for number in range(6)]
    block: dict[str, list[Any]] = {"number": list(range(6)), "job": [row_of(job) for job in jobs]}

    deaths = 0
    while True:
        worker = Worker(cfg.copy(), Taken([]), actor, torch.get_num_threads(), 1.0, str(Path.cwd()))
        try:
            fates = worker(block)
            break
        except Death:
            deaths += 1
            assert deaths <= most
            actor.callers_live = True
    assert fates["failed"] == [
        f"{job.source}: ended its worker twice (usually for want of memory)" if number == 3 else ""
        for number, job in enumerate(jobs)
    ]
    assert [Path(place).name for place in fates["written"] if place] == [f"{n}_x2.png" for n in (0, 1, 2, 4, 5)]
    assert len(times(tmp_path / "out")) == 5


def upscaler_of(*words: str, cpu_only: bool = False) -> bool:
    model: Any = SimpleNamespace(model=SimpleNamespace(cpu_only=cpu_only))
    return computes_on_gpus(compose("upscale", ["model=bicubic", *words]), model)


def test_device_and_engine_say_whether_workers_have_gpus() -> None:
    assert upscaler_of() and upscaler_of("device=cuda") and upscaler_of("engine=compile")
    assert not upscaler_of("device=cpu") and not upscaler_of(cpu_only=True)
    assert not upscaler_of("engine=onnxruntime") and not upscaler_of("engine=openvino")
    with pytest.raises(ConfigError, match=r"^device=cuda:1: Ray gives each worker a GPU .*; type device=cuda$"):
        upscaler_of("device=cuda:1")


def test_workers_share_gpus_or_cores() -> None:
    node = {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 1.0}}
    ray = SimpleNamespace(cluster_resources=lambda: node["Resources"], nodes=lambda: [node])
    assert shares(ray, None, on_gpus=True) == ({"num_cpus": 16, "num_gpus": 1}, 1, 16, 1.0)
    assert shares(ray, 8, on_gpus=False) == ({"num_cpus": 2}, 8, 2, 1 / 8)
    assert shares(ray, None, on_gpus=False) == ({"num_cpus": 1}, 16, 1, 1 / 16)
    with pytest.raises(ConfigError, match=r"^workers=8: Ray has 1 GPU; type workers=1, or device=cpu$"):
        shares(ray, 8, on_gpus=True)
    with pytest.raises(ConfigError, match=r"^workers=17: Ray has 1 GPU; type workers=1$"):
        shares(ray, 17, on_gpus=True)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "starting"), [("SIGTERM", False), ("SIGHUP", False), ("SIGTERM", True)])
def test_a_signal_ends_the_command_as_ctrl_c_does(name: str, starting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    signum = getattr(signal, name)
    inherited = signal.signal(signum, signal.SIG_DFL)  # under nohup, SIGHUP is ignored

    @contextmanager
    def connected(cores: int | None) -> Iterator[None]:
        """As Ray, which has a handler of its own from its start on."""
        signal.signal(signum, lambda signum, _: sys.exit(signum))
        if starting:
            signal.raise_signal(signum)
        yield

    monkeypatch.setattr("sr_lightning.inference.files.ray_here._connected", connected)
    with pytest.raises(Interrupted, match=r"^interrupted; overwrite=skip goes on$") as caught, ray_here():
        try:
            signal.raise_signal(signum)
        finally:
            signal.raise_signal(signum)  # once more, while it ends
    assert caught.value.signum == signum
    assert signal.signal(signum, inherited) is signal.SIG_DFL


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
