"""The server as a process, over HTTP."""

import io
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from skimage import data

from running import run_here
from sr_lightning.cli.listening import ending_signals
from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.inference.settings import upscale_config
from sr_lightning.serve import serve
from sr_lightning.upscale import upscale

pytest.importorskip("litserve")

from sr_lightning.serving.api import SlotsLoop
from sr_lightning.serving.server import Server, _Kept

LONG = 60.0  # seconds; nothing takes that long unless it hangs
SETTINGS = ["device=cpu", "tile=48"]
LIMITS = ["max_upload_mb=1", "max_upload_megapixels=0.5", "max_seconds=30"]


class Running:
    """A server in a folder of its own."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = folder
        argv = [sys.executable, "-m", "sr_lightning.serve", f"port={self.port}", *SETTINGS, *settings]
        env = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            argv, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().split(":")[0] for _ in range(2)]

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, named, method=method)
        try:
            with urlopen(request, timeout=LONG) as response:
                return response.status, response.read(), {k.lower(): v for k, v in response.headers.items()}
        except HTTPError as error:
            return error.code, error.read(), {k.lower(): v for k, v in error.headers.items()}

    def metric(self, name: str) -> float:
        text = self.ask("/metrics")[1].decode()
        return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[-1])

    def until(self, name: str, value: float) -> None:
        due = time.monotonic() + LONG
        while self.metric(name) != value:
            assert self.process.poll() is None and time.monotonic() < due

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(
        tmp_path_factory.mktemp("server"),
        "max_upload_mb=1",
        "max_upload_megapixels=0.5",
        "batch_ms=100",
        "model=fsrcnn",
    )
    assert running.lines == ["starting", "http"], running.process.communicate()
    yield running
    running.kill()


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """What is sent, and what ``upscale`` makes of it."""
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for i, (height, width) in enumerate([(60, 80), (60, 80), (60, 80), (60, 80), (33, 47), (70, 90)]):
        (folder / f"{i}.png").write_bytes(png(data.astronaut()[20 * i : 20 * i + height, 30 * i : 30 * i + width]))
        (result,) = upscale(
            compose("upscale", [f"input={folder}/{i}.png", f"output={folder}/large", "model=fsrcnn", *SETTINGS])
        )
        made.append(((folder / f"{i}.png").read_bytes(), result.read_bytes()))
    return made


def test_many_clients_get_the_files_of_upscale(server: Running, pictures: list[tuple[bytes, bytes]]) -> None:
    def one(number: int) -> bool:
        sent, expected = pictures[number % len(pictures)]
        return server.ask("/upscale", sent)[:2] == (200, expected)

    before = server.metric("sr_tiles_total"), server.metric("sr_batches_total")
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(24)))
    tiles, batches = (
        server.metric(f"sr_{key}_total") - had for key, had in zip(("tiles", "batches"), before, strict=True)
    )
    assert tiles >= 48 and batches < tiles  # of twelve at once, some meet


def test_a_form_and_options(server: Running, pictures: list[tuple[bytes, bytes]]) -> None:
    sent, expected = pictures[0]
    lines = [
        b"--x",
        b'Content-Disposition: form-data; name="picture"; filename="../my photo.png"',
        b"",
        sent,
        b"--x--",
        b"",
    ]
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    code, body, headers = server.ask("/upscale", b"\r\n".join(lines), **form)
    assert (code, body == expected) == (200, True)
    assert headers["content-disposition"] == 'attachment; filename="my_photo_x2.png"'
    code, body, headers = server.ask("/upscale?factor=1.5&format=webp&quality=60", sent)
    picture = Image.open(io.BytesIO(body))
    assert (code, picture.size, picture.format, headers["content-type"]) == (200, (120, 90), "WEBP", "image/webp")
    code, body, _ = server.ask("/upscale", sent, Accept="image/jpeg")
    assert (code, Image.open(io.BytesIO(body)).format) == (200, "JPEG")
    code, body, headers = server.ask("/upscale", sent, Accept_Encoding="gzip")
    assert (code, body == expected, headers.get("content-encoding")) == (200, True, None)


@pytest.mark.parametrize(
    ("start", "code", "words"),
    [
        (b"POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n", 413, b"1 MB that this server takes"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000, 431, b"64 KB that this server takes"),
        (b"\x16\x03\r\n\r\n", 400, b"no request of HTTP/1.1"),
    ],
)
def test_a_sender_sees_why_it_was_refused(server: Running, start: bytes, code: int, words: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), LONG) as client:
        client.sendall(start)
        answer = client.recv(12)
        for _ in range(6):  # as programs do that send all before they read
            client.sendall(bytes(500_000))
        while part := client.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 %d " % code) and answer.endswith(words + b'"}')


def test_what_is_refused(server: Running, pictures: list[tuple[bytes, bytes]]) -> None:
    sent, _ = pictures[0]
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    large = png(np.zeros((800, 800), np.uint8))
    for path, body, headers, code, words in [
        ("/upscale", b"", {}, 400, "there is no picture"),
        ("/upscale", b"--x--\r\n", form, 400, "no file"),
        ("/upscale", b"--x", {"Content_Type": "multipart/form-data"}, 400, "boundary"),
        ("/upscale", b"hello", {}, 415, "not a picture"),
        ("/upscale", b'{"a": 1}', {"Content_Type": "application/json"}, 415, "not a picture"),
        ("/upscale", sent[:900], {}, 422, "cannot be decoded"),
        ("/upscale", large, {}, 413, "0.6 megapixels"),
        ("/upscale", bytes(1_000_001), {}, 413, "1 MB"),
        ("/upscale?quality=0", sent, {}, 422, "from 1 to 100"),
        ("/upscale?spam=1", sent, {}, 422, "spam: is no option"),
        ("/upscale?factor=nan", sent, {}, 422, "factor=nan"),
        ("/upscale?factor=2&factor=3", sent, {}, 422, "twice"),
        ("/upscale?format=exe", sent, {}, 422, "there are"),
        ("/spam", sent, {}, 404, "POST a picture to /upscale"),
    ]:
        got, text, _ = server.ask(path, body, **headers)
        sentence = json.loads(text)["error"]
        assert (got, words in sentence) == (code, True), (path, sentence)
        assert str(server.folder) not in sentence
    code, text, headers = server.ask("/upscale")
    asked = f"curl --data-binary @photo.png http://127.0.0.1:{server.port}/upscale -o large.png"
    assert (code, headers["allow"]) == (405, "POST") and asked in json.loads(text)["error"]
    server.until("sr_queue", 0)
    assert not [path for path in server.folder.glob("sr_lightning_serve_*/*") if path.is_dir()]


def test_headers_without_an_end(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as endless:
        endless.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (1 << 16))
        answer = b"".join(iter(lambda: endless.recv(1 << 16), b""))  # until the server closes
    assert answer.startswith(b"HTTP/1.1 431 ") and b'"the headers have more than the 64 KB' in answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as odd:
        odd.sendall(b"hello\r\n\r\n")
        assert odd.recv(100).startswith(b"HTTP/1.1 400 ")
    assert server.ask("/health")[0] == 200


def test_it_tells_of_itself(server: Running) -> None:
    assert server.ask("/health")[:2] == (200, b"ok") and server.ask("/ready")[:2] == (200, b"ok")
    for path in ("/health", "/ready", "/info", "/metrics"):
        assert server.ask(path, method="HEAD")[:2] == (200, b"")
        assert "GET " + path in json.loads(server.ask(path, b"x")[1])["error"]
    for path in ("/", "/litserve", "/docs", "/openapi.json"):  # LitServe's and FastAPI's
        code, text, _ = server.ask(path)
        assert (code, json.loads(text)["error"]) == (404, "there is no such address; POST a picture to /upscale")
    info = json.loads(server.ask("/info")[1])
    assert info["network"] == "FSRCNN x2 on cpu"
    assert info["limits"]["max_upload_megapixels"] == 0.5 and "sr_lightning" in info["versions"]
    text = server.ask("/metrics")[1].decode()
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"[^\"]+\"\})? [\d.e+-]+", line), line
    if sys.platform == "linux":
        assert 'sr_memory_bytes{process="worker 0"}' in text


def test_a_worker_that_dies_is_replaced(server: Running, pictures: list[tuple[bytes, bytes]]) -> None:
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    ours = [line.split(None, 2) for line in listed.splitlines()]
    (worker,) = [int(pid) for pid, parent, args in ours if int(parent) == server.process.pid and "spawn_main" in args]
    os.kill(worker, signal.SIGKILL)
    sent, expected = pictures[1]
    assert server.ask("/upscale", sent)[:2] == (200, expected)


def test_sigterm_answers_what_was_taken(server: Running, pictures: list[tuple[bytes, bytes]]) -> None:
    sent, expected = pictures[2]
    server.until("sr_queue", 0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as begun:
        begun.sendall(b"POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(sent))
        begun.sendall(sent[:100])
        server.until("sr_queue", 1)
        with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as open_:
            os.killpg(server.process.pid, signal.SIGTERM)  # workers too, as service managers do
            try:
                while open_.recv(100):
                    pass  # closed by the server, which has noticed
            except ConnectionResetError:
                pass
        begun.sendall(sent[100:])
        answer = b"".join(iter(lambda: begun.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(expected)
    _, err = server.process.communicate(timeout=LONG)
    assert server.process.returncode == 143 and err.splitlines()[-1] == "ended by SIGTERM", err
    assert not any(server.folder.glob("sr_lightning*"))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["port=70000"], "choose another port="),
        (["max_queue=0"], "max_queue=0: must be a number above 0"),
        (["workers=1.5"], "workers=1.5: must be a whole number above 0"),
        (["batch_ms=-1"], "batch_ms=-1: must be a number from 0"),
        (["weights=missing.ckpt"], "no such file of weights"),
        (["precision=spam"], "precision=spam: there are"),
    ],
)
def test_settings_that_cannot_work(settings: list[str], words: str, tmp_path: Path) -> None:
    ended = run_here("serve", *settings, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: ") and words in ended.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_here("serve", f"port={port}", cwd=tmp_path)
    assert ended.returncode == 1 and f"port={port}: cannot listen there" in ended.stderr


@pytest.mark.skipif(os.name == "nt", reason="its processes have no parents")
def test_the_queues_end_with_the_process_that_listens() -> None:
    with ending_signals():  # whose handlers they have
        manager = multiprocessing.Manager()
    process: Any = manager._process  # type: ignore[attr-defined]
    try:
        assert SlotsLoop._next(manager.Queue(), parent=-1, manager=process.pid) is None
        process.join(LONG)
        assert process.exitcode == -signal.SIGKILL
    finally:
        process.kill()


def test_pictures_of_a_killed_server_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Server, "__init__", lambda self, cfg, plain, root: (root / "here").touch())
    found = list[str]()
    here = "sr_lightning_serve_*/*"
    monkeypatch.setattr(Server, "run", lambda self, end: found.extend(path.name for path in tmp_path.glob(here)))
    left = tmp_path / "sr_lightning_serve_left"
    (left / "stranger").mkdir(parents=True)
    (left / "lock").touch()
    os.utime(left / "lock", (1, 1))
    serve(compose("serve", ["port=0"]))
    assert sorted(found) == ["here", "lock"] and not any(tmp_path.iterdir())


def test_damaged_weights_end_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sr_lightning.serving.api._ignore_signals", lambda: None)
    monkeypatch.setattr("sr_lightning.data.files.io.no_pixel_limit", nullcontext)  # a worker lifts it for good
    Path("net.ckpt").write_bytes(b"no weights")
    cfg = compose("serve", ["weights=net.ckpt", *SETTINGS])
    server = Server(cfg, upscale_config(cfg, without=("workers",)), tmp_path)
    with pytest.raises(SystemExit):  # of the worker
        server.api.setup("cpu")
    server.waiting = _Kept(None)
    server.queues.inference_workers = [SimpleNamespace(is_alive=lambda: False, exitcode=1)]
    with pytest.raises(ConfigError, match=r"^net\.ckpt: "):
        server._look_after_workers()
