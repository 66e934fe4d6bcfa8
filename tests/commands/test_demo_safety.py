"""Foreign sites, full disks and hostile requests, by real HTTP on loopback; results that stay."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from running import Forked
from sr_lightning import demo as command
from sr_lightning.cli.listening import ending_signals
from sr_lightning.config import compose
from sr_lightning.demo_page.guard import Guard
from sr_lightning.demo_page.sessions import ABANDONED, Sessions
from sr_lightning.errors import CheckpointError, ConfigError, DataError, Interrupted

pytest.importorskip("gradio")


@dataclass(frozen=True)
class Page:
    """A page that listens."""

    port: int
    sessions: Sessions

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def upload(self, name: str, data: bytes, **headers: str) -> tuple[int, bytes]:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        kind = {"Content_Type": "multipart/form-data; boundary=x"}
        status, _, answer = self.ask("POST", "/gradio_api/upload", head + data + b"\r\n--x--\r\n", **(kind | headers))
        return status, answer

    def enlarge(self, *values: Any, session: str = "a session") -> str:
        """The last thing that the page says of a press of "Enlarge"; the first value is a file, or a list of files."""
        files, *rest = values
        data = [files if files is None or isinstance(files, list) else [files], *rest]
        body = json.dumps({"data": data, "session_hash": session}).encode()
        status, _, answer = self.ask("POST", "/gradio_api/call/enlarge", body, Content_Type="application/json")
        assert status == 200, answer
        _, _, told = self.ask("GET", f"/gradio_api/call/enlarge/{json.loads(answer)['event_id']}")
        return told.decode()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folder / "uploads")}
    from sr_lightning.demo_page.layout import launch_page
    from sr_lightning.demo_page.networks import offered_networks

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cfg = compose("demo", [f"port={port}", "device=cpu", "max_total_mb=2", "hosts=[sr.example.org]"])
    sessions = Sessions(folder, keep=3600)
    blocks = launch_page(offered_networks(cfg), sessions, cfg)
    yield Page(port, sessions)
    blocks.close(verbose=False)


@pytest.fixture(scope="module")
def picture() -> bytes:
    import io

    out = io.BytesIO()
    y, x, c = np.mgrid[:24, :32, :3]
    Image.fromarray(((np.sin(x / 3 + c) + np.cos(y / 4)) * 60 + 128).astype(np.uint8)).save(out, "png")
    return out.getvalue()


def as_file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1234"}, 200),
        ({"Host": "sr.example.org"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "192.168.1.2"}, 403),
        ({"Host": "["}, 403),
        ({"Host": "localhost@evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
    ],
)
def test_only_its_own_names_are_answered(headers: dict[str, str], status: int, page: Page) -> None:
    found, told, body = page.ask("GET", "/config", **headers)
    assert found == status, body
    assert told["x-frame-options"] == "DENY" and told["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in told["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:PORT"}, 200),
        ({"Origin": "https://sr.example.org"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ],
)
def test_other_sites_send_nothing(headers: dict[str, str], status: int, page: Page, picture: bytes) -> None:
    given = {key: value.replace("PORT", str(page.port)) for key, value in headers.items()}
    for answer in (
        page.upload("a.png", picture, **given)[0],
        page.ask("POST", "/gradio_api/queue/join", b'{"data": [], "fn_index": 999, "session_hash": "x"}',
                 Content_Type="application/json", **given)[0],
    ):  # fmt: skip
        assert (answer == 403) == (status == 403)


def test_addresses_are_taken_where_everyone_is_let_in(tmp_path: Path) -> None:
    async def nothing(*_: Any) -> None: ...

    open_to_all = Guard(nothing, "0.0.0.0", 7860, [], tmp_path, 1)
    anonymous = {"host": "192.168.1.2:7860", "origin": "null", "sec-fetch-site": "cross-site"}
    for host in ("0.0.0.0", ""):
        assert Guard(nothing, host, 7860, [], tmp_path, 1).visitors.refusal("POST", anonymous), (
            "a frame of a foreign site"
        )
    assert open_to_all.visitors.refusal("GET", {"host": "192.168.1.2:7860"}) is None
    assert open_to_all.visitors.refusal("GET", {"host": "[fe80::1]:7860"}) is None
    for host in ("", "me@localhost", "localhost/x", "localhost?x", "localhost:7860:1", "localhost#"):
        for listening in ("", "127.0.0.1"):
            assert Guard(nothing, listening, 7860, [], tmp_path, 1).visitors.refusal("GET", {"host": host}), (
                "no name and port"
            )
    assert open_to_all.visitors.refusal("GET", {"host": "evil.example"}) == (
        "This page is not called 'evil.example'; start it with hosts=[evil.example] if it is."
    )


@pytest.mark.parametrize(
    ("name", "own", "foreign"),
    [
        ("sr.example.org", ["https://sr.example.org", "http://SR.example.org:7860"], ["https://sr.example.org:8443"]),
        ("https://sr.example.org/", ["https://sr.example.org"], ["https://sr.example.org:8443"]),
        (
            "sr.example.org:8443",
            ["https://sr.example.org:8443"],
            ["https://sr.example.org", "http://sr.example.org:7860"],
        ),
        ("sr.example.org:443", ["https://sr.example.org"], ["http://sr.example.org"]),
        ("fe80::1", ["http://[fe80::1]:7860"], ["http://[fe80::1]:22", "http://["]),
    ],
)
def test_another_port_is_another_site(name: str, own: list[str], foreign: list[str], tmp_path: Path) -> None:
    async def nothing(*_: Any) -> None: ...

    (typed,) = compose("demo", [f"hosts=['{name}']"]).hosts
    guard = Guard(nothing, "127.0.0.1", 7860, [typed], tmp_path, 1)
    host = {"host": "127.0.0.1:7860"}  # as a proxy asks
    assert [guard.visitors.refusal("POST", {**host, "origin": origin}) for origin in own] == [None] * len(own)
    for origin in [*foreign, "http://localhost:7860", "http://127.0.0.1:1"]:
        assert guard.visitors.refusal("POST", {**host, "origin": origin}), origin
    assert guard.visitors.refusal("GET", {"host": f"[{name}]" if "::" in name else own[0].rpartition("/")[2]}) is None


def test_the_folder_is_not_walked_at_each_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come since it was walked counts, too."""
    clock, walks, sent = [100.0], [], []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return clock[0]

    def walk(folder: Path) -> int:
        walks.append(folder)
        return len(list(tmp_path.iterdir())) * 90_000

    async def keep(scope: Any, receive: Any, send: Any) -> None:
        (tmp_path / str(len(list(tmp_path.iterdir())))).touch()
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        sent.append(message.get("status"))

    monkeypatch.setattr("sr_lightning.demo_page.guard.time", Clock)
    monkeypatch.setattr("sr_lightning.demo_page.guard._size", walk)
    guard = Guard(keep, "localhost", 7860, [], tmp_path, 1)
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload",
             "headers": [(b"host", b"localhost"), (b"content-length", b"90000")]}  # fmt: skip
    for _ in range(13):
        asyncio.run(guard(scope, keep, send))
    assert [status for status in sent if status] == [200] * 11 + [507] * 2 and len(walks) == 1
    for path in tmp_path.iterdir():
        path.unlink()
    clock[0] += 1
    asyncio.run(guard(scope, keep, send))
    assert sent[-1] == 200 and len(walks) == 2


def test_work_that_ends_while_it_is_cancelled_is_no_error(tmp_path: Path) -> None:
    """gradio looks it up twice, and may find it gone the second time."""

    async def gone(*_: Any) -> None:
        raise KeyError("c1f5")

    def ask(path: str) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")]}
        asyncio.run(Guard(gone, "localhost", 7860, [], tmp_path, 1)(scope, gone, send))
        return sent

    assert ask("/gradio_api/cancel")[0]["status"] == 200
    with pytest.raises(KeyError):
        ask("/gradio_api/queue/join")


def test_uploads_have_a_limit_together(page: Page, picture: bytes) -> None:
    noise = np.random.default_rng(0).bytes(1_200_000)
    status, answer = page.upload("large.png", noise)
    (held,) = (Path(name) for name in json.loads(answer))
    assert status == 200 and held.is_file()
    assert page.upload("more.png", noise[::-1]) == (
        507, b"This page holds too many files at the moment; try again later.",
    )  # fmt: skip
    assert page.upload("small.png", picture)[0] == 200
    assert page.upload("none.png", b"", Content_Length="-1", Transfer_Encoding="chunked")[0] in (400, 411)
    old = time.time() - ABANDONED - 1
    page.sessions.of("owner", held)
    assert held.is_file()
    page.sessions.close("owner")
    assert not held.exists() and old


def test_uploads_that_no_page_takes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(tmp_path, keep=3600)
    taken, left = sessions.uploads / "a" / "taken.png", sessions.uploads / "b" / "left.png"
    for path in (taken, left):
        path.parent.mkdir()
        path.write_bytes(b"")
    session = sessions.of("page", taken)
    later = time.time() + ABANDONED + 1
    monkeypatch.setattr(time, "time", lambda: later)
    sessions.sweep()
    assert taken.exists() and not left.exists()
    sessions.sweep()
    assert not left.parent.exists()
    session.used -= 3601  # whoever it was, they left without a word
    sessions.sweep()
    assert not taken.exists() and not session.folder.exists() and session.stop.is_set()
    assert sessions.of("page").folder.exists()  # they are welcome again


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../../etc/hostname", "a\0b", "http://127.0.0.1/a.png", "", "x" * 5000]
)
def test_no_other_file_of_this_computer_is_read_or_removed(path: str, tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "page", keep=100)
    if path:
        with pytest.raises(DataError, match="was not uploaded to this page"):
            sessions.of("page", Path(path))
    own = tmp_path / "own.png"
    own.write_bytes(b"")
    with pytest.raises(DataError):
        sessions.of("page", own)
    with pytest.raises(DataError, match="upload it again"):
        sessions.of("page", sessions.uploads / "gone.png")
    sessions.of("page")
    sessions.close("page")
    assert own.exists()


def test_hostile_requests_get_one_sentence(page: Page, picture: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    _, answer = page.upload("a.png", picture)
    file = as_file(json.loads(answer)[0])
    usual: list[Any] = [file, "fsrcnn", 2, "", False, "as the picture"]
    assert "a_x2.png" in page.enlarge(*usual)
    mark = page.sessions.root.parent / "precious.png"
    mark.write_bytes(picture)
    for place, value in (
        (0, as_file(str(mark))), (0, {"path": str(mark)}), (0, "x"), (0, None), (0, as_file("/etc/hostname")),
        (1, "../../evil"), (1, ["fsrcnn"]), (1, None), (1, {"a": 1}),
        (2, 7), (2, "2; rm"), (2, True), (2, None), (2, -1),
        (3, "1e9"), (3, {"a": 1}), (3, "9" * 10_000), (3, "nan"),
        (5, "exe"), (5, None), (5, ["PNG"]),
    ):  # fmt: skip
        told = page.enlarge(*usual[:place], value, *usual[place + 1 :], session="another")
        assert ".png" not in told.replace(mark.name, "") or "problem" in told or "error" in told, (place, value, told)
        assert str(page.sessions.root) not in told and "Traceback" not in told, (place, value, told)
    page.sessions.close("another")
    assert mark.read_bytes() == picture
    assert "a_x2.png" in page.enlarge(*usual)
    assert "demo_page" not in "".join(capfd.readouterr())  # gradio tells of files that it refuses, with a traceback


@pytest.mark.parametrize("name", ["", ".png", "..", "../../up.png", "a/b.png", "n" * 300 + ".png", "\u0430\u2028.png"])
def test_any_name_of_a_file(name: str, page: Page, picture: bytes) -> None:
    status, answer = page.upload(name, picture)
    if status != 200:
        assert status in (400, 422), answer
        return
    for path in json.loads(answer):
        assert Path(path).resolve().is_relative_to(page.sessions.uploads.resolve())
        told = page.enlarge(as_file(path), "fsrcnn", 2, "", False, "PNG", session=f"of {name[:9]}")
        assert "x2.png" in told or "problem" in told, told


def test_a_mistake_leaves_the_first_result(page: Page, picture: bytes) -> None:
    _, answer = page.upload("kept.png", picture)
    file = as_file(json.loads(answer)[0])
    page.enlarge(file, "fsrcnn", 2, "", False, "PNG", session="twice")
    first = page.sessions.result("twice")
    for wanted in ("1000", "large"):
        page.enlarge(file, "fsrcnn", 2, wanted, False, "PNG", session="twice")
        assert page.sessions.result("twice") is first and first.target.is_file() and first.after.is_file()


def test_the_page_goes_on_showing_it() -> None:
    from sr_lightning.demo_page.actions import idle_page
    from sr_lightning.demo_page.work import Result

    result = Result(Path("a_x2.png"), Path("before.jpg"), Path("after.jpg"), [])
    *_, slider, full, download = idle_page("wrong", result=result, keep=True)
    assert slider.value and slider.visible and full.visible and download.visible
    *_, shown, slider, full, download = idle_page("wrong", keep=True)
    assert shown.visible and not slider.visible and not full.visible and not download.visible


def test_work_that_takes_too_long_ends(picture: bytes, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**9, 10_000))
    from sr_lightning.demo_page import actions

    class Hurried:
        @staticmethod
        def monotonic() -> float:
            return float(next(clock))

    monkeypatch.setattr(actions, "time", Hurried)
    _, answer = page.upload("slow.png", picture)
    told = page.enlarge(as_file(json.loads(answer)[0]), "fsrcnn", 2, "", False, "PNG", session="slow")
    assert "takes longer than the 30 minutes that there are" in told


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["max_minutes=0"], ConfigError),
        (["max_total_mb=many"], ConfigError),
        (["keep_minutes=-1"], ConfigError),
        (["hosts=sr.example.org"], ConfigError),
        (["checkpoint=absent.ckpt"], CheckpointError),
    ],
)
def test_what_cannot_work_is_said_first(
    overrides: list[str], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TemporaryDirectory", None)  # it does not come that far
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(error):
        command.demo(compose("demo", [f"port={port}", *overrides]))


def raised_by(send: Callable[[], None]) -> BaseException | None:
    try:
        with ending_signals() as ended:
            send()
            assert any(ended.happened.wait(0.1) for _ in range(600))  # any thread may get it
    except Interrupted as error:
        return error
    return None


@pytest.fixture
def heeded() -> Iterator[None]:
    """The signals are taken, whatever nohup or a script's background has the tests ignore."""
    before = {s: signal.signal(s, signal.default_int_handler) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("heeded")
def test_signals_end_it() -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals arrive in the main thread alone")
    before = signal.getsignal(signal.SIGTERM)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        told = raised_by(lambda signum=signum: os.kill(os.getpid(), signum))
        assert isinstance(told, Interrupted) and told.signum == signum
    assert raised_by(lambda: os.kill(os.getpid(), signal.SIGINT)) is None
    assert signal.getsignal(signal.SIGTERM) is before
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending_signals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, ignored)


def test_sigterm_leaves_no_files(tmp_path: Path) -> None:
    """Of a page begun in a script's background, where Ctrl-C is for others."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "import tempfile; tempfile.tempdir = None; from sr_lightning.demo import main; main()"
    page = Forked(code, f"port={port}", "device=cpu", cwd=tmp_path, ignore=True, TMPDIR=str(tmp_path))
    assert [page.stdout.readline().split(":")[0] for _ in range(2)] == ["starting", "http"]
    assert any(tmp_path.glob("sr_lightning*"))
    page.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        page.wait(0.5)
    page.send_signal(signal.SIGTERM)
    out, err = page.communicate(timeout=300)
    assert (page.returncode, out, err) == (143, "", "ended by SIGTERM\n")
    assert not any(tmp_path.glob("sr_lightning*"))
