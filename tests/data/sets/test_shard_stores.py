"""Shards in stores: indexes, copies within a limit, broken connections, servers of all kinds."""

import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.sets import shard_cache, shard_files, shard_index
from sr_lightning.data.sets.folder import Folder
from sr_lightning.data.sets.shard_cache import ShardCache
from sr_lightning.data.sets.shard_files import expand, read_shard
from sr_lightning.data.sets.shard_index import ShardIndex, has_index, index_shard, index_shards, scan_shard, write_index
from sr_lightning.data.sets.shard_patches import Threads
from sr_lightning.data.sets.shard_remote import ATTEMPTS, RemoteFile
from sr_lightning.data.sets.shard_sources import ShardSources
from sr_lightning.data.sets.shards import Shards
from sr_lightning.errors import ConfigError, DataError

OPTIONS: dict[str, Any] = {"patch_size": 16, "batch_size": 4, "batches_per_epoch": 9, "num_workers": 0, "shuffle": 20}


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, well or badly.

    Attributes:
        asked: Paths and first bytes of all requests.
        ranges: Whether it knows them.
        cuts: Bytes after which the next responses break off; each is used once.
        loops: Whether it leads from a file to the file itself.
        answers: Codes that the next requests get; each is used once.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.ranges, self.sized = folder, True, True
        self.loops = False
        self.asked: list[tuple[str, int]] = []
        self.cuts: list[int] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Clients go away while they are served; that is no error."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, path = self.server, self.server.folder / self.path.lstrip("/")
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        begin = int(asked) if server.ranges else 0
        server.asked.append((self.path, int(asked)))
        if server.loops:
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            return
        if server.answers or not path.is_file():
            self.send_error(server.answers.pop(0) if server.answers else 404)
            return
        content = path.read_bytes()
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if server.sized:
            self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("ETag", f'"{len(content)}-{path.stat().st_mtime_ns}"')
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts and len(content) > 2000 else len(content)
        self.wfile.write(content[begin : begin + cut])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(shards: Path) -> Iterator[Server]:
    with Server(shards) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr("sr_lightning.data.sets.shard_remote.time.sleep", waited.append)
    return waited


@pytest.fixture
def make(shards: Path, tmp_path: Path) -> Callable[..., Shards]:
    def shards_at(urls: Any = shards, **options: Any) -> Shards:
        places = {"val_hr_dir": tmp_path / "pictures", "cache_dir": tmp_path / "cache"}
        return Shards(2, urls, **{**OPTIONS, **places, **options})

    return shards_at


def same(a: Shards, b: Shards) -> bool:
    return all(
        x["name"] == y["name"] and torch.equal(x["hr"], y["hr"]) and torch.equal(x["lr"], y["lr"])
        for x, y in zip(a.train_dataloader(), b.train_dataloader(), strict=True)
    )


def remote(server: Server) -> str:
    return server.url + "/train-{000000..000005}.tar"


# Indexes


def test_prepare_writes_indexes_of_what_tar_finds(shards: Path, tmp_path: Path) -> None:
    for shard in sorted(shards.glob("*.tar")):
        index = index_shard(shard, tmp_path / "cache")
        content = shard.read_bytes()
        with tarfile.open(shard) as tar:
            for key, members in zip(index.keys, index.members, strict=True):
                for kind, (begin, length) in members.items():
                    file = tar.extractfile(f"{key}.{kind}.png")
                    assert file is not None and file.read() == content[begin : begin + length]
        assert not (tmp_path / "cache/shard_indexes").exists()  # it lies beside
        assert scan_shard(shard, index.size, index.tag) == index


def test_old_folders_have_no_indexes(make: Any, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = list(make().train_dataloader())
    for index in shards.glob("*.index.json"):
        index.unlink()
    found = make(cache_dir=tmp_path / "other")
    assert all(torch.equal(a["hr"], b["hr"]) for a, b in zip(batches, found.train_dataloader(), strict=True))
    monkeypatch.setattr(shard_index, "scan_shard", lambda *_: pytest.fail("was read again"))
    assert make(cache_dir=tmp_path / "other").indexes == found.indexes
    monkeypatch.undo()
    # A shard that has changed has another index.
    (shards / "train-000000.tar").write_bytes((shards / "train-000001.tar").read_bytes())
    assert make(cache_dir=tmp_path / "other").indexes[0].keys == ["02", "03"]


def test_a_rerun_writes_missing_indexes(picture_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = Folder(2, hr_dir=str(picture_folder()), num_val=1)
    (shard,) = write_shards(data, tmp_path / "out")
    index = shard.with_name(shard.name + ".index.json")
    content, stamp = index.read_bytes(), shard.stat().st_mtime_ns
    for damaged in (None, b"", content[:50], content.replace(b'"size": ', b'"size": 1')):
        index.unlink() if damaged is None else index.write_bytes(damaged)
        write_shards(data, tmp_path / "out")
        assert index.read_bytes() == content and shard.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "wrong",
    ["{", "[]", "null", '{"version": 1}', "[" * 100_000, "far", "negative", "huge", "no hr"],
)
def test_indexes_that_are_none_are_made_anew(wrong: str, shards: Path, tmp_path: Path) -> None:
    shard = shards / "train-000000.tar"
    beside = shard.with_name(shard.name + ".index.json")
    index = index_shard(shard, tmp_path)
    places = {"far": [10**9, 10], "negative": [-1, 10], "huge": [512, 1 << 40]}
    content = json.loads(beside.read_text())
    content["pictures"][0][1] = {"hr": places[wrong]} if wrong in places else {}
    beside.write_text(json.dumps(content) if wrong in (*places, "no hr") else wrong)
    assert index_shard(shard, tmp_path) == index


def no_pictures(pictures: list[Any]) -> list[Any]:
    return []


def the_last(pictures: list[Any]) -> list[Any]:
    return pictures[-1:]


def the_first(pictures: list[Any]) -> list[Any]:
    return pictures[:1]


def twice(pictures: list[Any]) -> list[Any]:
    return [*pictures, ["größe", pictures[-1][1]]]


def often(pictures: list[Any]) -> list[Any]:
    return pictures * 40_000


def rounded(pictures: list[Any]) -> list[Any]:
    return [[key, {kind: [begin + 0.5, n] for kind, (begin, n) in found.items()}] for key, found in pictures]


def endless(pictures: list[Any]) -> list[Any]:
    return [[key, {kind: [float("inf"), n] for kind, (_, n) in found.items()}] for key, found in pictures]


def numbered(pictures: list[Any]) -> list[Any]:
    return [[number, found] for number, (_, found) in enumerate(pictures)]


@pytest.mark.parametrize("wrong", [no_pictures, the_last, the_first, twice, often, rounded, endless, numbered])
def test_an_index_that_leaves_out_or_repeats_is_not_believed(wrong: Any, tmp_path: Path) -> None:
    shard, size = tmp_path / "a.tar", 15_000
    with tarfile.open(shard, "w") as tar:
        for key in ("a", "b"):
            for kind in ("hr", "lr_x2"):
                member = tarfile.TarInfo(f"{key}.{kind}.png")
                member.size = size
                tar.addfile(member, io.BytesIO(bytes(size)))
    write_index(shard)
    beside = shard.with_name("a.tar.index.json")
    index = index_shard(shard, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()  # it was believed
    content = json.loads(beside.read_text())
    content["pictures"] = wrong(content["pictures"])
    beside.write_text(json.dumps(content).replace("Infinity", "1e999"))
    assert index_shard(shard, tmp_path / "cache") == index


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_indexes_of_all_kinds_of_archives_are_believed(kind: int, tmp_path: Path) -> None:
    shard = tmp_path / "a.tar"
    with tarfile.open(shard, "w", format=kind) as tar:
        for key in ("a", "e" * 80 + "/" + "f" * 90, *(["größe", "g" * 3000] if kind != tarfile.USTAR_FORMAT else [])):
            member = tarfile.TarInfo(f"{key}.hr.png")
            member.size, member.mtime = 600, 1.5 if kind == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(bytes(600)))
    write_index(shard)
    assert has_index(shard)


@pytest.mark.parametrize("moved", [True, False])
def test_an_index_of_another_shard_is_found_out(moved: bool, make: Any, shards: Path) -> None:
    """One of the same size, so that only the headers tell: of another place, or another name."""
    shard = shards / "train-000000.tar"
    beside = shard.with_name(shard.name + ".index.json")
    content = json.loads(beside.read_text())
    for picture in content["pictures"]:
        if moved:
            picture[1]["hr"][0] += 512
            picture[1]["hr"][1] -= 512
        else:
            picture[0] = "x" + picture[0][1:]
    beside.write_text(json.dumps(content))
    data = make(str(shard))
    with pytest.raises(
        DataError, match=r"train-000000.tar: [0x]\d is not where the index says .*; remove \S*index.json"
    ) as caught:
        list(data.train_dataloader())
    beside.unlink()  # as it says
    assert "\n" not in str(caught.value) and list(make(str(shard)).train_dataloader())


def test_names_of_every_kind(tmp_path: Path, shards: Path) -> None:
    """Long ones, folders, and letters beyond ASCII, in the three formats of tar."""
    with tarfile.open(shards / "train-000000.tar") as whole:
        contents = [whole.extractfile(member).read() for member in whole.getmembers()[:2]]  # type: ignore[union-attr]
    for number, kind in enumerate((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        keys = ["a", "./b", "/c/d", "e" * 80 + "/" + "f" * 90]
        keys += ["größe", "g" * 300] if kind != tarfile.USTAR_FORMAT else []
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=kind) as tar:
            for key in keys:
                for content, name in zip(contents, ("hr", "lr_x2"), strict=True):
                    member = tarfile.TarInfo(f"{key}.{name}.png")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        index = scan_shard(path)
        assert len(index.keys) == len(keys)
        sources = ShardSources([index])
        assert all(sources.read(0, n, ["hr", "lr_x2"]) == contents for n in range(len(keys)))
        assert [name for name, *_ in read_shard(path, 2)] == index.keys


def test_members_that_are_no_pictures(tmp_path: Path) -> None:
    def shard(size: int, kind: bytes = tarfile.REGTYPE) -> Path:
        member = tarfile.TarInfo("../../a.hr.png")
        member.size, member.type = size, kind
        path = tmp_path / "a.tar"
        with path.open("wb") as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.truncate(1536 + size + 1024)  # a file with a hole takes no room
        return path

    with pytest.raises(DataError, match=rf"a.tar: ../../a has a member hr of {2**33} bytes, which is no picture"):
        scan_shard(shard(2**33))
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        with pytest.raises(DataError, match=r"a.tar: cannot be read as a tar file \(it has a header of \d+ bytes\)"):
            scan_shard(shard(2**33, kind))
    assert scan_shard(shard(100)).keys == ["../../a"]  # a name, of which no file is made
    with pytest.raises(DataError, match=r"a.tar: ../../a: not a picture"):
        list(read_shard(tmp_path / "a.tar", 2))
    assert not (tmp_path.parent / "a.hr.png").exists()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("t-{2..0}.tar", r"t-\{2\.\.0\}\.tar: counts downwards; type \{0\.\.2\} instead of \{2\.\.0\}$"),
        ("t-{0..999999999}.tar", r"names more than 1,000,000 shards; name fewer"),
        ("{0..9999}/t-{0..9999}.tar", r"names more than 1,000,000 shards"),
        ("t-{0..99999999999999999999}.tar", r"names more than 1,000,000 shards"),
    ],
)
def test_patterns_that_name_nothing_or_too_much(
    pattern: str, sentence: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_files, "range", lambda *_: pytest.fail("names were made"), raising=False)
    with pytest.raises(ConfigError, match=sentence):
        make(f"https://host/{pattern}")


# Stores


@pytest.mark.parametrize("cache_gb", [None, 1])
@pytest.mark.parametrize("ranges", [True, False])
def test_streams_over_http(cache_gb: Any, ranges: bool, make: Any, server: Server) -> None:
    server.ranges = ranges
    assert same(make(remote(server), cache_gb=cache_gb), make())
    assert [name for name, *_ in read_shard(f"{server.url}/train-000001.tar", 2)] == ["02", "03"]


def test_servers_that_tell_no_size(make: Any, server: Server, tmp_path: Path) -> None:
    server.sized = False
    assert same(make(remote(server)), make())
    assert not list((tmp_path / "cache/shards").glob("*.tar"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_at_the_byte_reached(
    ranges: bool, server: Server, shards: Path, waits: Any
) -> None:
    server.ranges, content = ranges, (shards / "train-000000.tar").read_bytes()
    server.cuts = [1000, 3001, 5] if ranges else [1000, 3001, 7000]
    with RemoteFile(f"{server.url}/train-000000.tar") as file:
        assert file.read() == content
    begins = [0, 1000, 4001, 4006] if ranges else [0, 1000, 3001, 7000]
    assert [begin for _, begin in server.asked] == begins
    assert waits == [1, 1, 1]  # each break is the first in its place
    server.cuts = [0] * ATTEMPTS
    with pytest.raises(DataError, match=r"train-000000.tar: cannot be read \(the connection ended too early\)"):
        RemoteFile(f"{server.url}/train-000000.tar").read()


def test_breaks_in_the_middle_of_a_run(make: Any, server: Server, waits: Any) -> None:
    expected = make()
    for cache_gb in (None, 1):
        data = make(remote(server), cache_gb=cache_gb)
        assert data.indexes
        server.cuts = [700, 2500, 4000, 10, 9000]
        assert same(data, expected) and not server.cuts
    assert len(waits) >= 9


def test_what_may_pass_is_tried_again(server: Server, waits: Any) -> None:
    server.answers = [503, 500, 429]
    assert [name for name, *_ in read_shard(f"{server.url}/train-000000.tar", 2)] == ["00", "01"]
    assert waits == [1, 2, 3]
    server.answers = [503] * ATTEMPTS
    with pytest.raises(DataError, match=r"train-000000.tar: cannot be read \(Service Unavailable\)"):
        list(read_shard(f"{server.url}/train-000000.tar", 2))
    waits.clear()
    for url in ("train-000099.tar", "?"):
        with pytest.raises(DataError, match=r"cannot be read \(Not Found\)$"):
            list(read_shard(f"{server.url}/{url}", 2))
    server.answers = [403]
    with pytest.raises(DataError, match=r"cannot be read \(Forbidden\)$"):
        list(read_shard(f"{server.url}/train-000000.tar", 2))
    assert not waits


def test_a_loop_of_redirects_is_one_line(server: Server, waits: Any) -> None:
    server.loops = True
    with pytest.raises(DataError, match=r"^\S*/loop\.tar: cannot be read \([^\n]*infinite loop[^\n]*\)$"):
        RemoteFile(f"{server.url}/loop.tar").read()


def test_nobody_answers(waits: Any) -> None:
    with pytest.raises(DataError, match=r"x.tar: cannot be read \(.*refused\)"):
        list(read_shard("http://127.0.0.1:9/x.tar", 2))
    assert waits == [1, 2, 3]


def test_a_shard_that_changes_meanwhile(server: Server, shards: Path, waits: Any) -> None:
    with RemoteFile(f"{server.url}/train-000000.tar") as file:
        server.cuts = [600]
        file.read(600)
        (shards / "train-000000.tar").write_bytes((shards / "train-000001.tar").read_bytes())
        with pytest.raises(DataError, match=r"train-000000.tar: changed while it was read; run again"):
            file.read(10)


def test_resuming_asks_for_nothing_that_is_skipped(make: Any, server: Server) -> None:
    """The last of many batches takes a few pictures, and so a few requests; the first bytes of none."""
    data = make(remote(server), cache_gb=None, batches_per_epoch=48, batch_size=1, shuffle=1)
    assert data.indexes
    server.asked.clear()
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 47, "order": 2})
    assert len(list(loader)) == 1
    assert len(server.asked) == 1


def test_indexes_of_a_store_are_read_once(make: Any, server: Server, shards: Path) -> None:
    asked = lambda: [path for path, _ in server.asked if path.endswith(".tar")]  # noqa: E731
    first = make(remote(server)).indexes
    assert len(asked()) == 6  # what size it has, and nothing of it
    server.asked.clear()
    assert make(remote(server)).indexes == first
    assert not [path for path, _ in server.asked if path.endswith(".json")]
    for index in shards.glob("*.json"):
        index.unlink()
    found = make(remote(server), cache_dir=shards.parent / "other").indexes
    assert [(index.keys, index.members) for index in found] == [(index.keys, index.members) for index in first]


@pytest.fixture
def bucket(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    simulated = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    simulated.start()
    host, port = simulated.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="sets")
    for path in shards.iterdir():
        client.upload_file(str(path), "sets", f"train/{path.name}")
    yield "s3://sets/train"
    simulated.stop()


def test_streams_from_s3(bucket: str, make: Any, shards: Path) -> None:
    assert expand(bucket) == [f"{bucket}/{path.name}" for path in sorted(shards.glob("*.tar"))]
    for urls, options in (
        (bucket, {"cache_gb": None}),
        (bucket + "/train-{000000..000005}.tar", {"num_workers": 1}),  # copied in a process of its own
    ):
        assert same(make(urls, **options), make())
    assert [name for name, *_ in read_shard(f"{bucket}/train-000001.tar", 2)] == ["02", "03"]
    with pytest.raises(DataError, match=r"s3://sets/train/no.tar: no such file or bucket"):
        index_shard(f"{bucket}/no.tar", shards)
    with pytest.raises(DataError, match=r"s3://sets/none: no folder with shards \(.tar\)$"):
        expand("s3://sets/none")


# Copies


@pytest.fixture
def indexes(server: Server, tmp_path: Path) -> list[ShardIndex]:
    return index_shards(expand(remote(server)), tmp_path / "indexes")


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.tar"))


def test_copies_stay_within_the_limit(indexes: list[ShardIndex], server: Server, tmp_path: Path) -> None:
    size = max(index.size or 0 for index in indexes)
    cache = ShardCache(tmp_path / "copies", 3 * size)
    for number, index in enumerate(indexes):
        path = cache.copy(index)
        assert path is not None and path.read_bytes() == (server.folder / index.url.rpartition("/")[2]).read_bytes()
        os.utime(path, ns=(number, number))
        assert used(cache.folder) <= 3 * size
    assert [cache.find(index) is not None for index in indexes] == [False, False, False, True, True, True]
    for number, index in enumerate(indexes[3:]):  # the one in the middle is used again, and stays
        os.utime(cache.copy(index) or "", ns=(number, number))
    assert cache.find(indexes[4])
    cache.copy(indexes[0])
    cache.copy(indexes[1])
    assert [cache.find(index) is not None for index in indexes] == [True, True, False, False, True, False]


def test_a_shard_above_the_limit_is_streamed(make: Any, server: Server, tmp_path: Path) -> None:
    data = make(remote(server), cache_gb=1e-6)
    assert same(data, make())
    assert not list((tmp_path / "cache/shards").glob("*")) if (tmp_path / "cache/shards").exists() else True


def test_processes_share_copies(indexes: list[ShardIndex], server: Server, tmp_path: Path) -> None:
    """Several that want a shard at once copy it once, and all get it."""
    server.asked.clear()
    caches = [ShardCache(tmp_path / "copies", 10**9) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda cache: cache.copy(indexes[0]), caches))
    assert len({*paths}) == 1 and len(server.asked) == 1
    leftover = tmp_path / "copies" / ".0123-99999-0123abcd.tar"  # of a process that was killed
    leftover.write_bytes(b"half")
    caches[0].copy(indexes[1])
    assert not leftover.exists() and used(caches[0].folder) == sum(index.size or 0 for index in indexes[:2])


def test_copies_that_are_being_written_count(
    indexes: list[ShardIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for one: while it is written, another one is streamed."""
    cache = ShardCache(tmp_path / "copies", max(index.size or 0 for index in indexes))
    describe, second = RemoteFile.describe, []

    def meanwhile(file: RemoteFile) -> Any:
        if not second:
            second.append(True)
            assert cache.copy(indexes[1]) is None
        return describe(file)

    monkeypatch.setattr(RemoteFile, "describe", meanwhile)
    assert cache.copy(indexes[0]) is not None and second
    assert cache.copy(indexes[1]) is not None and cache.find(indexes[0]) is None


def test_disks_that_are_full(
    indexes: list[ShardIndex], make: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_cache, "LEFT_FREE", 1 << 60)
    assert ShardCache(tmp_path / "copies", 10**9).copy(indexes[0]) is None
    monkeypatch.undo()
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match=r"file/copies: keeps no copy of \S* \(Not a directory\); it is streamed"):
        assert ShardCache(tmp_path / "file/copies", 10**9).copy(indexes[0]) is None


def test_a_copy_that_breaks_off_leaves_nothing(
    indexes: list[ShardIndex], server: Server, tmp_path: Path, waits: Any
) -> None:
    cache = ShardCache(tmp_path / "copies", 10**9)
    server.cuts = [600] + [0] * ATTEMPTS
    with pytest.raises(DataError, match="the connection ended too early"):
        cache.copy(indexes[0])
    assert not list(cache.folder.glob("*.tar"))
    assert cache.copy(indexes[0]) is not None


def test_a_damaged_copy_gives_way_to_the_store(indexes: list[ShardIndex], tmp_path: Path) -> None:
    cache = ShardCache(tmp_path / "copies", 10**9)
    path = cache.copy(indexes[0])
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))  # what a crash of the machine may leave
    sources = ShardSources(indexes, cache)
    (begin, length), (lr, lr_length) = indexes[0].members[0]["hr"], indexes[0].members[0]["lr_x2"]
    expected = [whole[begin : begin + length], whole[lr : lr + lr_length], None]
    assert sources.read(0, 0, ["hr", "lr_x2", "lr_x3"]) == expected
    assert cache.find(indexes[0]) is None
    assert ShardSources(indexes, cache).read(0, 0, ["hr", "lr_x2", "lr_x3"]) == expected and cache.find(indexes[0])


def test_pictures_damaged_in_a_copy_are_read_of_the_store(
    make: Any, server: Server, shards: Path, tmp_path: Path
) -> None:
    assert same(make(remote(server)), make())
    copies = list((tmp_path / "cache/shards").glob("*.tar"))
    index = make().indexes[0]
    begin, length = index.members[0]["hr"]
    for path in copies:  # each may be of the shard
        content = bytearray(path.read_bytes())
        if content == (shards / "train-000000.tar").read_bytes():
            content[begin + length // 2 : begin + length // 2 + 20] = bytes(20)
            path.write_bytes(content)
            damaged = path
    assert same(make(remote(server)), make())
    assert not damaged.exists() or damaged.read_bytes() == (shards / "train-000000.tar").read_bytes()
    # What is damaged in the store stays an error.
    content = bytearray((shards / "train-000000.tar").read_bytes())
    content[begin + length // 2 : begin + length // 2 + 20] = bytes(20)
    (shards / "train-000000.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"train-000000\.tar: 00: is damaged"):
        list(make(remote(server)).train_dataloader())


def test_shards_that_are_wanted_soon_are_copied(indexes: list[ShardIndex], tmp_path: Path) -> None:
    sources = ShardSources(indexes, ShardCache(tmp_path / "copies", 10**9))
    assert Threads(1).submit(sources.fetch, 2).result(timeout=30) is None
    assert sources.cache is not None and sources.cache.find(indexes[2])
    assert Threads(2).submit(int, "x").exception(timeout=30).args[0].startswith("invalid literal")  # type: ignore[union-attr]


def test_the_config_has_it_all(shards: Path, tmp_path: Path) -> None:
    keys = [f"data.urls={shards}", f"data.val_hr_dir={tmp_path / 'pictures'}", "data.cache_gb=0.5", "data.readers=2"]
    data = build(compose("train", ["data=shards", *keys, "data.pool_mb=1", "data.patch_size=16"]).data)
    assert (data.cache_gb, data.readers, data.pool_mb) == (0.5, 2, 1)
    assert data.describe() == "12 pictures in 6 shards, scale 2, patches of 16x16"
    assert np.asarray(next(iter(data.train_dataloader()))["hr"]).shape == (16, 3, 16, 16)
