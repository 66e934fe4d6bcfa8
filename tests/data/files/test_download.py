"""Archives from a server on this machine that behaves as badly as servers do."""

import errno
import hashlib
import io
import re
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.atomic import exclusive_write
from sr_lightning.cli.start import run
from sr_lightning.config import compose
from sr_lightning.data.files import download
from sr_lightning.data.files.download import Archive, download_and_unpack
from sr_lightning.data.sets import div2k
from sr_lightning.errors import DataError
from sr_lightning.prepare import prepare

NAME = "SET.zip"
NOISE = np.random.default_rng(0).bytes(3 << 20)  # three megabytes that no zip makes smaller


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


ZIP = packed({"SET/a.bin": NOISE[: 1 << 20], "SET/b.bin": NOISE[1 << 20 :]})


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``breaks`` are the numbers of bytes after which the first answers end too early."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {NAME: ZIP}
        self.breaks: list[int] = []
        self.busy = 0  # answers with 503 before anything else
        self.knows_ranges = True
        self.silence: threading.Event | None = None  # what every answer waits for before it ends
        self.requests: list[str | None] = []  # what each asked for in Range
        self.sent = 0

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def archive(self) -> Archive:
        return Archive(f"{self.home}/{NAME}", md5(ZIP))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.requests.append(asked)
        content = self.server.files.get(self.path.lstrip("/"))
        if self.server.busy:
            self.server.busy -= 1
            return self.send_error(503)
        if content is None:
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.knows_ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: self.server.breaks.pop(0)] if self.server.breaks else body
        self.server.sent += len(body)
        self.wfile.write(body)
        return self.server.silence and self.server.silence.wait()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_unpacked(folder: Path) -> None:
    assert files_in(folder) == ["SET/a.bin", "SET/b.bin"]
    assert (folder / "SET/a.bin").read_bytes() + (folder / "SET/b.bin").read_bytes() == NOISE


def test_fetches_unpacks_and_leaves_nothing_else(server, tmp_path, capsys):
    download_and_unpack(server.archive(), tmp_path / "new" / "folder")
    assert_unpacked(tmp_path / "new" / "folder")
    assert server.requests == [None]
    progress = capsys.readouterr().out
    assert NAME in progress and "3.1/3.1 MB" in progress


def test_broken_connection_is_resumed_and_no_byte_fetched_twice(server, tmp_path):
    server.breaks = [len(ZIP) // 2, 12345]
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.requests == [None, f"bytes={len(ZIP) // 2}-", f"bytes={len(ZIP) // 2 + 12345}-"]
    assert server.sent == len(ZIP)


def test_part_of_an_earlier_run_is_resumed(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(ZIP[:1000])
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.requests == ["bytes=1000-"]


def test_server_that_ignores_ranges_starts_over(server, tmp_path):
    server.knows_ranges, server.breaks = False, [len(ZIP) // 2]
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.sent == len(ZIP) + len(ZIP) // 2


def test_server_that_ignores_ranges_leaves_nothing_of_a_longer_part(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(ZIP + b"more")
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)


def test_whole_part_needs_no_more_bytes(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(ZIP)
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.sent == 0


def test_part_that_is_too_long_is_put_aside(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(ZIP + b"more")
    with pytest.raises(DataError, match="MD5"):
        download_and_unpack(server.archive(), tmp_path)
    assert files_in(tmp_path) == [f"{NAME}.bad"]
    download_and_unpack(server.archive(), tmp_path)
    assert (tmp_path / "SET").is_dir()


def test_archive_at_hand_is_used_without_the_network(server, tmp_path):
    (tmp_path / NAME).write_bytes(ZIP)
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.requests == []


def test_archive_cut_short_by_another_program_is_completed(server, tmp_path):
    (tmp_path / NAME).write_bytes(ZIP[:5000])
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert server.requests == ["bytes=5000-"]


def test_wrong_file_is_put_aside_with_one_sentence(server, tmp_path):
    server.files[NAME] = b"<html>Log in to this network</html>"
    archive = server.archive()
    with pytest.raises(DataError) as error:
        download_and_unpack(archive, tmp_path)
    message = str(error.value)
    assert archive.url in message and archive.md5 in message and f"{NAME}.bad" in message and "run again" in message
    assert "\n" not in message
    assert files_in(tmp_path) == [f"{NAME}.bad"]


def test_missing_file_is_not_asked_for_again(server, tmp_path):
    del server.files[NAME]
    with pytest.raises(DataError, match=r"HTTP 404.*nothing was downloaded.*data\.home=URL"):
        download_and_unpack(server.archive(), tmp_path)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == []


def test_busy_server_is_asked_again(server, tmp_path):
    server.busy = 2
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)


def test_no_server(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
        with pytest.raises(DataError, match=r"Connection refused.*nothing was downloaded.*run again"):
            download_and_unpack(Archive(url, md5(ZIP)), tmp_path)
    assert files_in(tmp_path) == []


def test_unknown_host(tmp_path, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataError, match=r"no connection \(Name or service not known\).*data\.home=URL"):
        download_and_unpack(Archive("http://nowhere.invalid/SET.zip", md5(ZIP)), tmp_path)


@pytest.mark.parametrize(
    "url", ["nowhere/SET.zip", "http://[/SET.zip", "http://host:port/SET.zip", "http://a b/SET.zip"]
)
def test_no_address(url, tmp_path):
    with pytest.raises(DataError, match=r"data\.home=URL"):
        download_and_unpack(Archive(url, md5(ZIP)), tmp_path)


def test_connection_that_breaks_again_and_again_keeps_the_part(server, tmp_path):
    server.breaks = [1000] * 3
    with pytest.raises(DataError, match=r"broke after 3000 of \d+ bytes; the 0\.0 MB in .*SET.zip.part are kept"):
        download_and_unpack(server.archive(), tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == ZIP[:3000]
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)


def test_breaks_are_forgiven_while_it_gets_on(server, tmp_path):
    content = packed({"SET/a.bin": NOISE * 3})
    server.files[NAME], server.breaks = content, [1 << 20] * 8
    download_and_unpack(Archive(f"{server.home}/{NAME}", md5(content)), tmp_path)
    assert len(server.requests) == 9 > 1 + len(download.WAITS)


def test_silent_server_counts_as_broken_and_what_it_said_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    server.silence, server.breaks = threading.Event(), [1000, 200, 30]
    with pytest.raises(DataError, match="timed out"):
        download_and_unpack(server.archive(), tmp_path)
    server.silence.set()
    assert (tmp_path / f"{NAME}.part").read_bytes() == ZIP[:1230]


class FullDisk(io.FileIO):
    """A file on a disk with room for the first 100,000 bytes."""

    def write(self, data: bytes) -> int:
        if self.tell() >= 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[: 100_000 - self.tell()])


def test_full_disk_keeps_the_part(server, tmp_path, monkeypatch):
    opened = Path.open

    def full(path: Path, mode: str = "r", *args: object) -> object:
        return io.BufferedWriter(FullDisk(path, "w")) if mode == "wb" else opened(path, mode, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DataError, match=r"the disk is full; the 0\.1 MB in .*SET.zip.part are kept: free space"):
            download_and_unpack(server.archive(), tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == ZIP[:100_000]
    download_and_unpack(server.archive(), tmp_path)
    assert server.requests == [None, "bytes=100000-"]
    assert_unpacked(tmp_path)


def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written.*data\.root=FOLDER"):
        download_and_unpack(server.archive(), tmp_path / "file")


@pytest.mark.parametrize("member", ["../escaped.png", "/tmp/escaped.png", "SET/../../escaped.png"])
def test_zip_that_escapes_is_refused(server, tmp_path, member):
    content = packed({"SET/fine.png": b"", member: b""})
    server.files[NAME] = content
    with pytest.raises(DataError, match=r"escaped\.png"):
        download_and_unpack(Archive(f"{server.home}/{NAME}", md5(content)), tmp_path / "data")
    assert files_in(tmp_path) == [f"data/{NAME}"]


def test_archive_that_is_no_zip(server, tmp_path):
    server.files[NAME] = b"no zip"
    with pytest.raises(DataError, match=r"SET.zip: cannot be unpacked"):
        download_and_unpack(Archive(f"{server.home}/{NAME}", md5(b"no zip")), tmp_path)
    assert files_in(tmp_path) == [NAME]


def test_killed_unpacking_never_looks_finished(server, tmp_path, monkeypatch):
    extract = zipfile.ZipFile.extract

    def killed(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> str:
        if member.filename == "SET/b.bin":
            raise KeyboardInterrupt
        return extract(archive, member, path)

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nobody tidies up after SIGKILL
        with pytest.raises(KeyboardInterrupt):
            download_and_unpack(server.archive(), tmp_path)
    assert files_in(tmp_path) == [".SET.tmp/SET/a.bin", NAME]
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)
    assert len(server.requests) == 1


def test_two_processes_do_not_fetch_one_archive(server, tmp_path):
    with (
        exclusive_write(tmp_path / NAME),
        pytest.raises(DataError, match=rf"{NAME}: another process is fetching this archive; let it finish, then run"),
    ):
        download_and_unpack(server.archive(), tmp_path)
    assert not server.requests and not files_in(tmp_path)
    download_and_unpack(server.archive(), tmp_path)
    assert_unpacked(tmp_path)


def test_archives_that_share_a_folder(server, tmp_path):
    for scale in ("X2", "X3", "X4"):
        content = packed({f"LR/{scale}/0001.png": scale.encode()})
        server.files[NAME] = content
        download_and_unpack(Archive(f"{server.home}/{NAME}", md5(content)), tmp_path)
    assert files_in(tmp_path) == ["LR/X2/0001.png", "LR/X3/0001.png", "LR/X4/0001.png"]


# --- the whole way: a DIV2K of five pictures ---------------------------------------------------------------------


def png(size: int, number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def miniature(server, monkeypatch) -> Server:
    server.files = {}
    for part, numbers in {"train": (1, 2, 3), "valid": (801, 802)}.items():
        hr, lr = f"DIV2K_{part}_HR", f"DIV2K_{part}_LR_bicubic"
        server.files[f"{hr}.zip"] = packed({f"{hr}/{n:04}.png": png(64, n) for n in numbers})
        server.files[f"{lr}_X2.zip"] = packed({f"{lr}/X2/{n:04}x2.png": png(32, -n % 100) for n in numbers})
    monkeypatch.setattr(div2k, "MD5", {name: md5(content) for name, content in server.files.items()})
    return server


def overrides(home: str, folder: Path) -> list[str]:
    paths = [f"data.home={home}", f"data.root={folder / 'DIV2K'}", f"data.cache_dir={folder / 'cache'}"]
    return ["data=div2k", "download=true", "data.patch_size=32", "data.num_workers=0", *paths]


@pytest.mark.filterwarnings("ignore:.*of the pictures .* are there")
def test_prepare_leaves_div2k_ready_to_train(miniature, tmp_path, capsys):
    prepare(compose("prepare", overrides(miniature.home, tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "training: 3 pictures, LR pictures of the set at scale 2, patches of 32x32",
        "validation, div2k: 2 pictures",
        f"cache: {tmp_path / 'cache'}",
    ]
    assert len(miniature.requests) == 4
    assert not list((tmp_path / "DIV2K").glob("*.zip*"))

    data = prepare(compose("prepare", overrides(miniature.home, tmp_path)))
    assert len(miniature.requests) == 4  # nothing is fetched twice
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["lr"].shape == (16, 3, 16, 16) and batch["hr"].shape == (16, 3, 32, 32)
    expected = np.asarray(Image.open(tmp_path / "DIV2K/DIV2K_train_LR_bicubic/X2/0002x2.png")).transpose(2, 0, 1)
    assert (data.patches.lr[1] == expected).all()


@pytest.mark.filterwarnings("ignore:.*of the pictures .* are there")
def test_prepare_makes_lr_where_the_set_has_none(miniature, tmp_path, capsys):
    prepare(compose("prepare", [*overrides(miniature.home, tmp_path), "scale=4"]))
    assert "training: 3 pictures, LR made of them at scale 4" in capsys.readouterr().out
    assert len(miniature.requests) == 2


def test_prepare_command_ends_with_one_line_where_the_download_fails(miniature, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["prepare", *overrides(miniature.home, tmp_path)])
    del miniature.files["DIV2K_valid_HR.zip"]
    with pytest.raises(SystemExit) as stop:
        run(prepare, "prepare")
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "DIV2K_valid_HR.zip" in line and "404" in line
