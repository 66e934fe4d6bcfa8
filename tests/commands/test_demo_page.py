"""The page as its visitors see it: in a browser, on a desk and on a phone, and by gradio's client."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from browser import BINARY, Browser
from sr_lightning.config import compose
from sr_lightning.upscale import upscale

pytest.importorskip("gradio")
needs_chromium = pytest.mark.skipif(BINARY is None, reason="no chromium: apt-get install chromium")

BOX = "document.querySelector('#slider').getBoundingClientRect()"
READY = "!!document.querySelector('#start') && !!document.querySelector('#upload input[type=file]')"
RESULT = "document.querySelector('#status .facts')?.innerText.includes('→')"
CLEAR = "#upload button[aria-label=Clear]"
WANTED = "document.querySelector('#wanted input, #wanted textarea')"
PROBLEM = "document.querySelector('#status .problem')?.innerText"


@dataclass(frozen=True)
class Served:
    """The command as it runs: its address, and the folder of all its temporary files."""

    url: str
    temporary: Path

    def left(self) -> list[str]:
        """Files that the server holds."""
        return sorted(name for _, _, names in os.walk(self.temporary) for name in names)  # folders may go meanwhile


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    temporary = tmp_path_factory.mktemp("temporary")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "sr_lightning.demo", f"port={port}", "device=cpu", "tile=48", "max_upload_mb=3",
         "max_megapixels=2"],
        env=os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=temporary,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # scripts' background jobs ignore it
    )  # fmt: skip
    assert server.stdout and server.stderr
    first, line = server.stdout.readline(), server.stdout.readline()
    assert first == f"starting: http://127.0.0.1:{port} answers in a few seconds\n"
    assert line.startswith(f"http://127.0.0.1:{port} "), line + server.stderr.read()
    yield Served(f"http://127.0.0.1:{port}", temporary)
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=300)
    assert server.returncode == 0 and not out, out + err
    assert all(": enlarged with " in line for line in err.splitlines()), err  # which network, as the command says it
    assert not any(temporary.glob("sr_lightning*")) and not any(path.is_file() for path in temporary.rglob("*"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "cat.png"
    Image.fromarray(skimage.data.chelsea()[60:190, 90:270]).save(path)
    return path


def commanded(picture: Path, folder: Path, *overrides: str) -> Path:
    """What the command writes."""
    given = [f"input={picture}", f"output={folder}", "device=cpu", "tile=48", *overrides]
    return upscale(compose("upscale", given))[0]


def fits(browser: Browser) -> bool:
    """Whether nothing is wider than the window."""
    return bool(browser.js("document.documentElement.scrollWidth <= innerWidth"))


def handle(browser: Browser) -> tuple[float, float]:
    """Where the handle of the slider is."""
    box = browser.js(f"{BOX.replace('#slider', '#slider .icon-wrap')}.toJSON()")
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_client_gets_what_the_command_writes(served: Served, picture: Path, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    client = Client(served.url, verbose=False, download_files=str(tmp_path / "client"), analytics_enabled=False)
    given = {"wanted": "", "ensemble": False, "ending": "as the picture", "api_name": "/enlarge"}
    *_, file = client.predict(files=[handle_file(str(picture))], name="fsrcnn", scale=2, **given)
    expected = commanded(picture, tmp_path / "command", "model=fsrcnn")
    path = Path(file["value"] if isinstance(file, dict) else file)
    assert path.name == expected.name and path.read_bytes() == expected.read_bytes()
    clip = tmp_path / "clip.gif"
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "green", "blue")]
    frames[0].save(clip, save_all=True, append_images=frames[1:], duration=70)
    *_, file = client.predict(files=[handle_file(str(clip))], name="bicubic", scale=2, **given)
    expected = commanded(clip, tmp_path / "command", "model=bicubic")
    path = Path(file["value"] if isinstance(file, dict) else file)
    assert path.name == expected.name == "clip_x2.gif" and path.read_bytes() == expected.read_bytes()
    client.close()


@needs_chromium
def test_in_a_browser(served: Served, picture: Path, tmp_path: Path) -> None:
    """Upload, enlarge, move the slider, download, a mistake; nothing from elsewhere, nothing left behind."""
    with Browser(tmp_path) as browser:
        browser.open(served.url)
        browser.wait(READY)
        browser.upload("#upload input[type=file]", picture)
        browser.wait("document.querySelector('#preview img')?.naturalWidth == 180")
        browser.click("#start")
        browser.wait(RESULT)
        pictures = browser.wait(
            "(() => {const all = [...document.querySelectorAll('#slider img')];"
            "return all.length == 2 && all.every(i => i.complete && i.naturalWidth == 360 && i.naturalHeight == 260)"
            " && new Set(all.map(i => i.src)).size})()"
        )
        assert pictures == 2 and fits(browser)
        browser.click("#download")
        expected = commanded(picture, tmp_path / "command")
        download = browser.downloads / expected.name
        for _ in range(200):
            if download.exists() and download.stat().st_size == expected.stat().st_size:
                break
            time.sleep(0.05)
        assert download.read_bytes() == expected.read_bytes()
        assert expected.name in served.left()

        browser.wait("document.querySelector('#slider').tabIndex == 0")
        time.sleep(0.5)  # until all has its place
        before = handle(browser)[0]
        browser.js("document.querySelector('#slider').focus()")
        for _ in range(2):
            browser.press("ArrowLeft")
        assert handle(browser)[0] < before - 10
        browser.press("ArrowRight")
        browser.press("ArrowRight")
        assert handle(browser)[0] == pytest.approx(before, abs=10)

        # The click right after a drag is taken for a part of it.
        browser.wait("!!document.querySelector('#at-full-size') || document.querySelector('#full').click()")
        widths = "[...document.querySelectorAll('#at-full-size img')].map(i => i.complete && i.clientWidth)"
        browser.wait(f"{widths}.join() == '360,360'")
        browser.press("Escape")
        browser.wait("!document.querySelector('#at-full-size')")

        browser.click(".label-wrap")  # more options
        browser.wait(f"!!{WANTED}")
        browser.js(f"{WANTED}.value = '1000'; {WANTED}.dispatchEvent(new Event('input', {{bubbles: true}}))")
        browser.click("#start")
        assert "1000" in browser.wait(PROBLEM)
        browser.wait(f"document.querySelectorAll('#slider img').length == 2 && {BOX}.height > 50")  # the first result
        assert browser.js("document.querySelector('#download').getBoundingClientRect().height > 0")

        broken = tmp_path / "broken<b>.png"
        broken.write_bytes(b"no picture")
        browser.click(CLEAR)
        browser.wait(READY)
        browser.upload("#upload input[type=file]", broken)
        assert browser.wait(PROBLEM).startswith("broken")
        assert "Traceback" not in browser.js("document.body.innerText")
        assert browser.complaints() == []
    for _ in range(600):  # the page is closed
        if not served.left():
            break
        time.sleep(0.1)
    assert served.left() == []


@needs_chromium
def test_several_pictures_are_one_zip(served: Served, picture: Path, tmp_path: Path) -> None:
    other, gif, broken = tmp_path / "other/cat.png", tmp_path / "b.gif", tmp_path / "c.png"
    other.parent.mkdir()
    Image.new("RGB", (30, 20), "red").save(other)
    Image.new("P", (24, 16)).save(gif)
    broken.write_bytes(Path(picture).read_bytes()[:2000])
    with Browser(tmp_path) as browser:
        browser.open(served.url)
        browser.wait(READY)
        browser.upload("#upload input[type=file]", picture, other, gif)
        browser.wait("document.querySelector('#status').innerText.includes('and 2 more')")
        browser.click("#start")
        browser.wait("!!document.querySelector('#download')")
        browser.click("#download")
        path = browser.downloads / "enlarged.zip"
        for _ in range(200):
            if path.exists():
                break
            time.sleep(0.05)
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["cat_x2.png", "cat_x2_2.png", "b_x2.png"]
            expected = commanded(picture, tmp_path / "command")
            assert archive.read("cat_x2.png") == expected.read_bytes()
            assert Image.open(io.BytesIO(archive.read("cat_x2_2.png"))).size == (60, 40)
        browser.click(CLEAR)
        browser.wait(READY)
        browser.upload("#upload input[type=file]", picture, broken)
        browser.click("#start")
        assert "c.png" in browser.wait(PROBLEM)
        assert browser.complaints() == []


@needs_chromium
def test_on_a_phone(served: Served, picture: Path, tmp_path: Path) -> None:
    """Nothing is cut off, the slider follows a finger, and work can be stopped."""
    with Browser(tmp_path, 390, 844, phone=True) as browser:
        browser.open(served.url)
        browser.wait(READY)
        assert fits(browser)
        browser.upload("#upload input[type=file]", picture)
        browser.wait("document.querySelector('#preview img')?.naturalWidth == 180")
        browser.click("#start")
        browser.wait(RESULT)
        browser.wait("!!document.querySelector('#slider img')")
        browser.wait(f"(r => r.top >= 0 && r.bottom <= innerHeight)({BOX})")
        assert fits(browser)
        time.sleep(0.5)  # until all has its place
        x, y = handle(browser)
        for kind, points in (("touchStart", [x]), ("touchMove", [x - 40]), ("touchMove", [x - 90]), ("touchEnd", [])):
            touches = [{"x": point, "y": y} for point in points]
            browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=touches)
        assert handle(browser)[0] == pytest.approx(x - 90, abs=8)

        for width, height in ((600, 500), (800, 700)):
            large = tmp_path / f"{width}.png"
            Image.new("RGB", (width, height)).save(large)
            browser.click(CLEAR)
            browser.wait(READY)
            browser.upload("#upload input[type=file]", large)
            browser.wait(f"document.querySelector('#preview img')?.naturalWidth == {width}")
            browser.click("#start")
            if width == 600:
                browser.wait("!!document.querySelector('#stop')")
                browser.click("#stop")
                browser.wait("document.querySelector('#status').innerText.includes('Stopped')")
        assert "2.2 megapixels, and this page takes 2 at most" in browser.wait(PROBLEM)
        assert "600_x2.png" not in served.left()
        assert browser.complaints() == []
