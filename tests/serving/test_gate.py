"""Places, limits and time of the server, before a stand-in of LitServe."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("litserve")

from sr_lightning.config import compose
from sr_lightning.serving.gate import Gate

Steps = list[dict[str, Any]]


class Client:
    """One request: what it sends, and what it is answered."""

    def __init__(self, *chunks: bytes, headers: dict[str, str] | None = None, stays: bool = True) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for chunk in chunks:
            self.send(chunk)
        if chunks:
            self.queue.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        if not stays:
            self.leave()
        pairs = [(key.encode(), value.encode()) for key, value in (headers or {}).items()]
        self.scope = {"type": "http", "method": "POST", "path": "/upscale", "headers": pairs}
        self.got: Steps = []

    def send(self, chunk: bytes) -> None:
        self.queue.put_nowait({"type": "http.request", "body": chunk, "more_body": True})

    def leave(self) -> None:
        self.queue.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self.queue.get()

    async def answer(self, message: Any) -> None:
        self.got.append(dict(message))

    @property
    def code(self) -> int:
        return self.got[0]["status"]

    @property
    def sentence(self) -> str:
        return json.loads(self.got[1]["body"])["error"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])


class App:
    """Reads the body, writes it to the folder, and works until it is let go."""

    def __init__(self) -> None:
        self.working, self.may_end = asyncio.Event(), asyncio.Event()
        self.upload: Path | None = None

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        self.upload = scope["sr"]["folder"] / "upload"
        self.upload.write_bytes(body)
        scope["sr"]["at_work"] = True
        self.working.set()
        await self.may_end.wait()
        told = {"pixels_in": 3, "pixels_out": 12, "process": 7, "tiles": 5, "batches": 2, "alone": 0}
        headers = [(b"x-sr-told", json.dumps(told).encode()), (b"content-type", b"image/png")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def gated(folder: Path, app: App, *options: str) -> Gate:
    return Gate(app, compose("serve", ["max_upload_mb=0.001", "max_queue=1", *options]), folder)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        await asyncio.wait_for(story(), 60)

    asyncio.run(in_time())


async def visit(gate: Gate, client: Client) -> Client:
    await gate(client.scope, client.receive, client.answer)
    return client


async def all_left(gate: Gate) -> None:
    while gate.taken or gate.uploading:
        await asyncio.sleep(0)


def test_an_answer_passes_and_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        app.may_end.set()
        gate = gated(tmp_path, app)
        client = await visit(gate, Client(b"picture"))
        assert (client.code, client.got[1]["body"]) == (200, b"picture")
        assert b"x-sr-told" not in client.headers
        await all_left(gate)
        assert not any(tmp_path.iterdir())
        text = gate.metrics.text(0, {})
        for line in ('sr_requests_total{code="200"} 1', 'sr_pixels_total{side="out"} 12', "sr_tiles_total 5",
                     "sr_failures_total 0", "sr_request_seconds_count 1"):  # fmt: skip
            assert f"\n{line}\n" in text

    run(story)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "sr.example.org"}, 200),  # programs are let in by any name
        ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 200),
        ({"host": "127.0.0.1:8000", "origin": "https://evil.example"}, 403),  # a form of another site
        ({"host": "evil.example:8000", "origin": "http://evil.example:8000"}, 403),  # a name that was pointed here
        ({"host": "proxy.example", "origin": "https://proxy.example"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], code: int, tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        app.may_end.set()
        client = await visit(gated(tmp_path, app, "hosts=[proxy.example]"), Client(b"picture", headers=headers))
        assert client.code == code

    run(story)


@pytest.mark.parametrize(
    ("path", "host", "code"),
    [
        ("/info", "127.0.0.1:8000", 200),
        ("/info", "evil.example:8000", 403),  # a name that was pointed here, and browsers send no origin with a GET
        ("/metrics", "evil.example:8000", 403),
        ("/metrics", "proxy.example", 200),
        ("/health", "10.0.0.7:8000", 200),  # load balancers ask by any name
    ],
)
def test_what_it_tells_of_itself_is_for_its_own_names(path: str, host: str, code: int, tmp_path: Path) -> None:
    async def story() -> None:
        async def plain(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        client = Client(headers={"host": host})
        client.scope |= {"method": "GET", "path": path}
        assert (await visit(Gate(plain, compose("serve", ["hosts=[proxy.example]"]), tmp_path), client)).code == code
        if code == 403:
            assert "start it with hosts=[evil.example]" in client.sentence

    run(story)


def test_an_error_of_the_server_is_answered_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        class Broken(App):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                raise ZeroDivisionError("a bug")

        gate = gated(tmp_path, Broken())
        client = await visit(gate, Client(b"picture"))
        assert (client.code, client.sentence) == (500, "the server failed; its log says why")
        await all_left(gate)
        assert gate.metrics.codes == {500: 1}

    run(story)
    assert "a request ended with an error of the server" in caplog.text and "a bug" in caplog.text


def test_a_full_house_and_a_closing_one(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app)
        first = asyncio.create_task(visit(gate, Client(b"picture")))
        await app.working.wait()
        second = await visit(gate, Client(b"picture"))
        assert (second.code, second.headers[b"retry-after"]) == (429, b"1")
        gate.closing = True
        third = await visit(gate, Client(b"picture"))
        assert third.code == 503 and "closing" in third.sentence
        app.may_end.set()
        assert (await first).code == 200  # what was taken is answered
        assert gate.metrics.codes == {200: 1, 429: 1, 503: 1}

    run(story)


@pytest.mark.parametrize("headers", [{"content-length": "1001"}, {}])
def test_uploads_beyond_the_limit(headers: dict[str, str], tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        app.may_end.set()
        gate = gated(tmp_path, app)
        client = await visit(gate, Client(b"x" * 600, b"x" * 600, headers=headers))
        assert client.code == 413 and "0.001 MB" in client.sentence
        await all_left(gate)
        assert app.upload is None and not any(tmp_path.iterdir())

    run(story)


def test_work_that_takes_too_long_is_taken_back(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app, "max_seconds=0.05")
        client = await visit(gate, Client(b"picture"))
        assert (client.code, client.headers[b"retry-after"]) == (504, b"1")
        assert app.upload is not None and not app.upload.exists()  # by which the worker knows
        assert gate.taken == 1  # as long as it is at work
        app.may_end.set()
        await all_left(gate)
        assert len(client.got) == 2

    run(story)


def test_uploads_that_take_too_long(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app, "max_seconds=0.05")
        client = Client()
        client.send(b"pic")  # and no more
        assert (await visit(gate, client)).code == 408
        await all_left(gate)
        assert not any(tmp_path.iterdir())

    run(story)


def test_uploads_that_pause(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app, "max_pause_seconds=0.05")
        client = Client()
        client.send(b"pic")  # and no more
        assert (await visit(gate, client)).code == 408
        assert client.sentence == "nothing came of the upload for 0.05 s" and client.headers[b"connection"] == b"close"
        app.may_end.set()
        assert (await visit(gate, Client(b"picture"))).code == 200
        await all_left(gate)
        assert not any(tmp_path.iterdir()) and not gate.uploading

    run(story)


def test_a_picture_that_is_computed_may_take_longer_than_a_pause(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app, "max_pause_seconds=0.01")
        visiting = asyncio.create_task(visit(gate, Client(b"picture")))
        await app.working.wait()
        await asyncio.wait({visiting}, timeout=0.05)
        app.may_end.set()
        assert (await visiting).code == 200

    run(story)


def test_uploads_on_their_way_take_no_place(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        app.may_end.set()
        gate = gated(tmp_path, app)  # of one place
        slow = [Client() for _ in range(5)]
        visiting = [asyncio.create_task(visit(gate, client)) for client in slow]
        for client in slow:
            client.send(b"pic")
        while len(gate.uploading) < 5:
            await asyncio.sleep(0)
        assert (await visit(gate, Client(b"picture"))).code == 200
        while gate.taken:
            await asyncio.sleep(0)
        app.may_end.clear()
        app.working.clear()
        for client in slow:  # all of them are here at once
            client.queue.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await app.working.wait()
        while gate.uploading:
            await asyncio.sleep(0)
        app.may_end.set()
        await asyncio.gather(*visiting)
        assert sorted(client.code for client in slow) == [200, 429, 429, 429, 429]
        await all_left(gate)
        assert not any(tmp_path.iterdir())

    run(story)


@pytest.mark.parametrize("young", [0.0, 1e9])
def test_one_upload_more_takes_the_place_of_the_slowest(
    young: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_lightning.serving.gate._YOUNG", young)

    async def story() -> None:
        app = App()
        app.may_end.set()
        gate = gated(tmp_path, app, "max_uploads=2")
        quick, slow = Client(), Client()
        quick.send(b"p" * 900)
        slow.send(b"p")
        visiting = [asyncio.create_task(visit(gate, client)) for client in (quick, slow)]
        while sum(each.bytes for each in gate.uploading) < 901:
            await asyncio.sleep(0)
        new = await visit(gate, Client(b"picture"))
        if young:  # nobody knows yet which one is slow
            assert (new.code, new.headers[b"retry-after"]) == (429, b"1") and "on their way" in new.sentence
            slow.leave()
        else:
            assert new.code == 200
            await visiting[1]
            assert (slow.code, slow.headers[b"retry-after"]) == (429, b"1") and "the slowest" in slow.sentence
        quick.queue.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await asyncio.gather(*visiting)
        assert quick.code == 200 and not gate.uploading

    run(story)


def test_clients_that_leave(tmp_path: Path) -> None:
    async def story() -> None:
        app = App()
        gate = gated(tmp_path, app)
        client = Client(b"picture")
        visiting = asyncio.create_task(visit(gate, client))
        await app.working.wait()
        client.leave()
        await visiting
        assert app.upload is not None and not app.upload.exists()
        app.may_end.set()
        await all_left(gate)
        assert not client.got and gate.metrics.codes == {499: 1}

    run(story)


def test_other_addresses_pass(tmp_path: Path) -> None:
    async def story() -> None:
        async def plain(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        gate = Gate(plain, compose("serve"), tmp_path)
        client = Client(b"")
        client.scope |= {"method": "GET", "path": "/health"}
        assert (await visit(gate, client)).code == 200
        assert not gate.metrics.codes

    run(story)
