"""Pictures in stores and lists, and results that go there: as those of this machine, one by one."""

import functools
import http.server
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from running import fails, run_forked
from sr_lightning import stores
from sr_lightning.cli.arguments import with_keys
from sr_lightning.config import compose, in_hydras_grammar
from sr_lightning.data.files.io import read_photo
from sr_lightning.errors import ConfigError, DataError, SRError
from sr_lightning.inference.files import several
from sr_lightning.upscale import upscale

BUCKET = "s3://photos"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 server of this machine; its files by ``fsspec``."""
    server_of = pytest.importorskip("moto.server", reason='pip install "moto[s3,server]"')
    pytest.importorskip("s3fs", reason='pip install "sr_lightning[s3]"')
    import s3fs

    server = server_of.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem()
        yield system
        server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket."""
    monkeypatch.setattr(stores, "WAITS", (0.0, 0.0))
    s3.mkdir("photos")
    yield s3
    s3.invalidate_cache()
    s3.rm("photos", recursive=True)


def picture(path: Path, value: int = 7, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 9, 3), value, np.uint8)).save(path, **options)
    return path


def run(source: str, output: Path | str, *overrides: str) -> list[str]:
    words = [f'input="{source}"', f'output="{output}"', "model=bicubic", "device=cpu", *overrides]
    return [str(place) for place in upscale(compose("upscale", words))]


def fill(system: Any, tmp_path: Path, *names: str) -> None:
    for number, name in enumerate(names):
        system.put_file(str(picture(tmp_path / "local.png", number)), f"photos/{name}")
    system.invalidate_cache()


def names_in(system: Any, folder: str = "photos") -> list[str]:
    system.invalidate_cache()
    return sorted(name.removeprefix(f"{folder}/") for name in system.find(folder))


def test_a_folder_of_a_store_goes_into_another_with_its_tree(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png", "in/deep/b #1?.png", "in/.hidden.png", "elsewhere/c.png")
    bucket.pipe("photos/in/notes.txt", b"no picture")
    written = run(f"{BUCKET}/in", f"{BUCKET}/out")
    assert written == [f"{BUCKET}/out/a_x2.png", f"{BUCKET}/out/deep/b #1?_x2.png"]
    assert names_in(bucket, "photos/out") == ["a_x2.png", "deep/b #1?_x2.png"]
    bucket.get_file("photos/out/deep/b #1?_x2.png", str(tmp_path / "b.png"))
    assert (
        read_photo(tmp_path / "b.png").pixels.shape == (12, 18, 3)
        and (read_photo(tmp_path / "b.png").pixels == 1).all()
    )


def test_one_file_a_pattern_and_local_places(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png", "in/b.png", "in/c.jpg")
    assert run(f"{BUCKET}/in/a.png", tmp_path / "one") == [str(tmp_path / "one/a_x2.png")]
    assert run(f"{BUCKET}/in/*.png", tmp_path / "two") == [str(tmp_path / f"two/{name}_x2.png") for name in "ab"]
    local = picture(tmp_path / "here" / "deep" / "d.png")
    assert run(str(local.parents[1]), f"{BUCKET}/out") == [f"{BUCKET}/out/deep/d_x2.png"]
    assert names_in(bucket, "photos/out") == ["deep/d_x2.png"]


def test_metadata_stay_and_animations_pass(bucket: Any, tmp_path: Path) -> None:
    profile = (picture(tmp_path / "a.png", dpi=(300, 300)), "photos/in/a.png")
    bucket.put_file(str(profile[0]), profile[1])
    frames = [Image.fromarray(np.full((6, 9, 3), value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:])
    bucket.put_file(str(tmp_path / "clip.gif"), "photos/in/clip.gif")
    assert len(run(f"{BUCKET}/in", f"{BUCKET}/out")) == 2
    bucket.get("photos/out", str(tmp_path / "out"), recursive=True)
    with Image.open(tmp_path / "out" / "a_x2.png") as result:
        assert result.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    with Image.open(tmp_path / "out" / "clip_x2.gif") as result:
        assert (result.n_frames, result.size) == (2, (18, 12))


def test_what_exists_is_found_by_one_listing(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(bucket, tmp_path, *(f"in/{name}.png" for name in "abcd"), "out/b_x2.png", "out/d_x2.png")
    precious = bucket.cat("photos/out/b_x2.png")
    asked: list[str] = []
    system = stores.file_system(BUCKET)[0]
    find = system.find
    monkeypatch.setattr(system, "find", lambda path: asked.append(path) or find(path))
    fetched: list[str] = []
    monkeypatch.setattr(
        "sr_lightning.inference.files.copies.fetch", lambda url, path: fetched.append(url) or stores.fetch(url, path)
    )
    for name in ("exists", "info", "isfile"):
        monkeypatch.setattr(system, name, refuse_single_results(getattr(system, name)))
    with pytest.raises(SRError, match=r"2 of 4 pictures(.|\n)*s3://photos/out/b_x2\.png: is there already"):
        run(f"{BUCKET}/in", f"{BUCKET}/out")
    assert [url[-5:] for url in fetched] == ["a.png", "c.png"]  # what has its result is not fetched
    assert asked.count("photos/out/") == 1
    bucket.rm_file("photos/out/a_x2.png")
    assert run(f"{BUCKET}/in", f"{BUCKET}/out", "overwrite=skip") == [f"{BUCKET}/out/a_x2.png"]
    assert "skipped 3 of 4 pictures" in capsys.readouterr().err
    assert bucket.cat("photos/out/b_x2.png") == precious
    assert len(run(f"{BUCKET}/in", f"{BUCKET}/out", "overwrite=true")) == 4
    bucket.invalidate_cache()
    assert bucket.cat("photos/out/b_x2.png") != precious


def refuse_single_results(usual: Any) -> Any:
    def ask(path: str, *rest: Any, **options: Any) -> Any:
        assert not path.startswith("photos/out/"), "asked for a single result"
        return usual(path, *rest, **options)

    return functools.wraps(usual)(ask)


def test_a_missing_and_a_damaged_object_are_failed_files(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png", "in/c.png")
    bucket.pipe("photos/in/b.png", b"\x89PNG\r\n\x1a\nno picture")
    names = [f"{BUCKET}/in/{name}.png" for name in ("a", "b", "c", "none")]
    (tmp_path / "list.txt").write_text("\n".join(["", *names, names[0], ""]), encoding="utf-8")
    with pytest.raises(SRError, match="2 of 4 pictures") as caught:
        run(f"@{tmp_path / 'list.txt'}", f"{BUCKET}/out")
    _, *failed = str(caught.value).split("\n  ")
    assert failed[0].startswith(f"{BUCKET}/in/b.png: ") and failed[1] == f"{BUCKET}/in/none.png: no such file or bucket"
    assert names_in(bucket, "photos/out") == ["a_x2.png", "c_x2.png"]


def test_copies_go_and_never_more_than_three_are_there(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket, tmp_path, *(f"in/{number}.png" for number in range(7)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    counts: list[int] = []
    compute = several.compute

    def counting(*args: Any) -> Any:
        counts.append(len(list((tmp_path / "temporary").glob("*/*/in"))))
        return compute(*args)

    monkeypatch.setattr(several, "compute", counting)
    assert len(run(f"{BUCKET}/in", f"{BUCKET}/out")) == 7
    assert max(counts) <= 3 and not list((tmp_path / "temporary").iterdir())


def test_leftovers_of_killed_processes_go(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bucket, tmp_path, "in/a.png")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "sr_lightning-copies-left"
    young = tmp_path / "sr_lightning-copies-young"
    for folder in (left, young):
        folder.mkdir()
        (folder / "lock").touch()
    os.utime(left / "lock", (1, 1))
    run(f"{BUCKET}/in/a.png", tmp_path / "out")
    assert young.is_dir() and not left.exists()


@pytest.mark.parametrize("times", [2, 3])
def test_a_broken_connection_is_tried_again(
    times: int, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket, tmp_path, "in/a.png")
    calls: list[str] = []

    def breaking(usual: Any) -> Any:
        def work(*args: Any, **options: Any) -> Any:
            calls.append(args[0])
            if calls.count(args[0]) <= times:
                raise ConnectionResetError(104, "Connection reset by peer")
            return usual(*args, **options)

        return work

    for name in ("get_file", "put_file"):
        system = stores.file_system(BUCKET)[0]
        monkeypatch.setattr(system, name, breaking(getattr(system, name)))
    if times == 2:
        assert run(f"{BUCKET}/in/a.png", f"{BUCKET}/out") == [f"{BUCKET}/out/a_x2.png"]
    else:
        with pytest.raises(SRError, match=r"^s3://photos/in/a\.png: cannot be used \(Connection reset by peer\)$"):
            run(f"{BUCKET}/in/a.png", f"{BUCKET}/out")


def test_what_cannot_work_is_told_before_the_work(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png")
    with pytest.raises(ConfigError, match=r"in/a\.png: is in a store; say where its result goes, as in output="):
        upscale(compose("upscale", [f'input="{BUCKET}/in/a.png"', "model=bicubic"]))
    for wrong, sentence in (
        ("https://localhost/out", "nothing can be written behind https://"),
        ("file:///tmp/out", "is a file of this machine; type its path, /tmp/out"),
        ("s3://photos/out.png", "names a folder"),
        ("s3://", r"^output=s3://: names no bucket; type output=s3://BUCKET/FOLDER$"),
        ("nothing://photos", "Protocol not known: nothing"),
        ("s3://no-such-bucket/out", r"no-such-bucket/out: no such file or bucket"),
    ):
        with pytest.raises(SRError, match=sentence):
            run(f"{BUCKET}/in", wrong)
    for wrong, sentence in (
        ("https://localhost/in/", "https:// lists no folders"),
        (f"{BUCKET}/none", "no such picture"),
        ("@none.txt", "there is no list none.txt"),
    ):
        with pytest.raises(SRError, match=sentence):
            run(wrong, tmp_path / "out")
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="the list is empty"):
        run(f"@{tmp_path / 'empty.txt'}", tmp_path / "out")
    (tmp_path / "zeros.txt").write_bytes(b"a.png\0b.png")
    with pytest.raises(DataError, match="line 1 holds no name"):
        run(f"@{tmp_path / 'zeros.txt'}", tmp_path / "out")
    with pytest.raises(ConfigError, match="burst=True: merges files of this machine"):
        run(f"{BUCKET}/in", tmp_path / "out", "burst=true")


def test_a_result_never_replaces_its_own_picture(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png")
    before = bucket.cat("photos/in/a.png")
    with pytest.raises(SRError, match="would replace its own picture"):
        run(f"{BUCKET}/in/a.png", f"{BUCKET}/in", "pattern=%name", "overwrite=true")
    assert bucket.cat("photos/in/a.png") == before


def test_names_that_lead_elsewhere_cost_themselves(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png")
    bucket.pipe("photos/in/../../evil.png", (tmp_path / "local.png").read_bytes())
    (tmp_path / "list.txt").write_text(
        f"{BUCKET}/in/a.png\n{BUCKET}/in/../../evil.png\nhttps://localhost/%2e%2e/%2e%2e/x.png\n", encoding="utf-8"
    )
    with pytest.raises(SRError, match=r"2 of 3 pictures(.|\n)*'\.\.' leads elsewhere(.|\n)*'\.\.' leads elsewhere"):
        run(f"@{tmp_path / 'list.txt'}", tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.rglob("*_x2*")] == ["a_x2.png"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]
    silent: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "silent" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"0123456789")
            self.silent.wait()
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server over ``tmp_path/site``."""
    (tmp_path / "site").mkdir()
    _Quiet.asked, _Quiet.silent = [], threading.Event()
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        _Quiet.silent.set()
        server.shutdown()
        thread.join()


def test_pictures_behind_https_and_lists_keep_their_tree(site: str, tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "b/two words.png"):
        picture(tmp_path / "site" / name)
    lines = [
        f"{site}/a/1.png?size=large",
        f"{site}/b/1.png",
        f"{site}/b/two%20words.png",
        str(tmp_path / "site/a/1.png"),
    ]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines[:3]).encode())
    written = run(f"@{tmp_path / 'list.txt'}", tmp_path / "out")
    assert written == [str(tmp_path / "out" / name) for name in ("a/1_x2.png", "b/1_x2.png", "b/two words_x2.png")]
    assert run(f"{site}/b/two%20words.png", tmp_path / "one") == [str(tmp_path / "one" / "two words_x2.png")]
    with pytest.raises(SRError, match=r"/b/none\.png: no such file"):
        run(f"{site}/b/none.png", tmp_path / "one")


def test_an_address_reaches_the_server_as_it_is(site: str, tmp_path: Path) -> None:
    picture(tmp_path / "site" / "two words.png")
    signed = "/two%20words.png?X-Sig=abc%2Fdef+g%3D&b=1"
    typed = with_keys([site + signed, "-o", str(tmp_path / "out"), "model=bicubic", "device=cpu"], "upscale")
    assert len(upscale(compose("upscale", in_hydras_grammar("upscale", typed)))) == 1
    assert _Quiet.asked == [signed]
    run(f"{site}/two words.png?größe=100%", tmp_path / "other")
    assert _Quiet.asked[1] == "/two%20words.png?gr%C3%B6%C3%9Fe=100%25"


def test_a_server_that_falls_silent_is_left(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "WAITS", (0.0,))
    monkeypatch.setattr(stores, "SILENCE", 0.1)
    with pytest.raises(SRError, match=r"/silent\.png: cannot be used \(.*(Timeout|nothing came for 0\.1 seconds)"):
        run(f"{site}/silent.png", tmp_path / "out")
    assert len(_Quiet.asked) == 2
    assert stores.file_system(site)[0].client_kwargs["timeout"].total is None  # a large file takes its time


@pytest.mark.parametrize("wrong", ["http://[::bad/a.png", "https://localhost:port/a.png", "nothing://photos/a.png"])
def test_an_address_that_is_none_costs_itself(wrong: str, tmp_path: Path) -> None:
    picture(tmp_path / "b.png")
    (tmp_path / "list.txt").write_text(f"{wrong}\n{tmp_path / 'b.png'}\n", encoding="utf-8")
    with pytest.raises(SRError, match=r"^1 of 2 pictures could not be enlarged:\n  " + re.escape(f"{wrong}: ")):
        run(f"@{tmp_path / 'list.txt'}", tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("b_x2.png"))) == 1
    with pytest.raises(SRError, match="^" + re.escape(f"{wrong}: ")):
        run(wrong, tmp_path / "out")


def test_lines_that_are_no_picture_cost_themselves(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    lines = [tmp_path / "folder", "http://localhost/a%00b.png", "x" * 5_000_000, picture(tmp_path / "a.png")]
    (tmp_path / "list.txt").write_text("\n".join(map(str, lines)), encoding="utf-8")
    with pytest.raises(SRError, match="3 of 4 pictures") as caught:
        run(f"@{tmp_path / 'list.txt'}", tmp_path / "out")
    folder, zero, long = str(caught.value).split("\n  ")[1:]
    assert folder == f"{tmp_path / 'folder'}: a folder, and a list names pictures; type it as an input of its own"
    assert "a%00b.png: 'a\\x00b.png' has a character that cannot be printed" in zero
    assert len(long) < 6_000 and long.startswith("x") and long.endswith("File name too long")


def test_keys_that_differ_by_a_slash_are_told_apart(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/d.png", "in//d.png")
    keys = sorted(f"{BUCKET}/in{slashes}d.png" for slashes in ("/", "//"))
    (tmp_path / "list.txt").write_text("\n".join(keys), encoding="utf-8")
    told = f"{keys[1]}: its result would have the name of that of {keys[0]}; enlarge one of them alone, with another"
    with pytest.raises(SRError, match=re.escape(told)):
        run(f"@{tmp_path / 'list.txt'}", tmp_path / "out", "pattern=%name_%ext")
    assert len(run(keys[1], tmp_path / "other")) == 1  # as it says


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux")
def test_an_output_that_takes_nothing_is_refused_once(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    with pytest.raises(SRError, match=r"^/proc/x: cannot be used \([^()]+\); choose another output=$"):
        run(str(tmp_path), "/proc/x")
    assert len(run(str(tmp_path), tmp_path / "new" / "out")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "new"]


def test_a_list_of_local_files_needs_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "b/2.png"):
        picture(tmp_path / name)
    (tmp_path / "list.txt").write_text("a/1.png\nb/2.png\n", encoding="utf-8")
    assert [str(path) for path in upscale(compose("upscale", ["input=@list.txt", "model=bicubic"]))] == [
        "a/1_x2.png",
        "b/2_x2.png",
    ]
    assert run("@list.txt", "out") == ["out/a/1_x2.png", "out/b/2_x2.png"]


def test_commands_print_the_results_alone(bucket: Any, tmp_path: Path) -> None:
    fill(bucket, tmp_path, "in/a.png", "in/b.png")
    ended = run_forked("upscale", f"{BUCKET}/in", "-o", f"{BUCKET}/out", "model=bicubic", "part=2/2", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"{BUCKET}/out/b_x2.png\n"), ended.stderr
    ended = run_forked("upscale", f"{BUCKET}/in", "model=bicubic", cwd=tmp_path)
    fails(ended, "is in a store; say where its result goes")
