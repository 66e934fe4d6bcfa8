"""Damages small files of every kind that is read, and looks at what becomes of them.

    python benchmarks/fuzz.py [--inputs 3600] [--minutes 20] [--seed 1] [--only PNG] [--output benchmarks/fuzz.md]

Each file is damaged by flipped bits, a lost end, parts that are cut out, zeroed or foreign, and headers written over;
texts and cards by values of other kinds, too. It is read in a guarded process with bounds on memory and time. Right
is what the intact file gives, one sentence (an ``SRError``), or a warning that names the file. Wrong is another
exception, a crash, a process that hangs, and, in formats with a checksum, values that differ without a word (silent;
where the checksum covers a part of the file, the damage is in that part).

Forked from one process that has imported everything. The damage is drawn from the seed alone.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import h5py
import numpy as np
import tifffile
import torch
from PIL import Image
from seeded import end, machine, parser

from damaged_weights import STRANGE, Makers, bent, replaced
from sr_lightning.config import compose
from sr_lightning.data.files.formats import load_plugins
from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.raw import read_raw
from sr_lightning.data.patches.store import open_store
from sr_lightning.data.prepare.patch_writers import HDF5Writer
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.raw_synthesis.files import Arrays
from sr_lightning.data.sets.folder import Folder
from sr_lightning.data.sets.hdf5 import open_patches
from sr_lightning.data.sets.pair_list import read_pairs
from sr_lightning.data.sets.shard_files import read_shard
from sr_lightning.errors import SRError
from sr_lightning.inference.engines.onnx_network import read_onnx
from sr_lightning.training.resume import with_settings_of_run
from sr_lightning.upscale import upscale
from sr_lightning.weights.checkpoints import read_checkpoint
from sr_lightning.weights.load import load_model

MEMORY, SECONDS = 3 << 30, 20  # of one input
BLOCK = 10  # files of one kind that a process reads
OUTCOMES = ("equal", "refused", "told", "other", "traceback", "hang", "silent")
WRONG = ("traceback", "hang", "silent")
RAW_FILES = ("shared/cases/dng/base.dng", "shared/data/raw/kodak_dc50_buildings.kdc", "shared/cases/dng/scale.dng")
Span = tuple[int, int]


@dataclass(frozen=True)
class Kind:
    """A file that is read.

    Attributes:
        content: Of the intact file.
        name: Of the file.
        read: What it holds, from its path.
        checked: Whether a checksum covers what it holds, so that other values are silent damage.
        spans: The parts of the file that the checksum covers, if not all; only these are damaged then.
        damage: Another way to damage it.
    """

    content: bytes
    name: str
    read: Callable[[Path], Any]
    checked: bool = False
    spans: tuple[Span, ...] = ()
    damage: Callable[[bytes, random.Random], bytes] | None = None


# --- the files --------------------------------------------------------------------------------------------------------


def kinds(folder: Path) -> dict[str, Kind]:
    """Every kind of file, made in a new folder."""
    found = {**pictures(folder), **sets(folder), **weights(folder), **settings(folder)}
    for place in RAW_FILES:
        path = Path(__file__).resolve().parents[2] / place
        if path.is_file():
            found[f"RAW, {path.suffix[1:]}, {path.stem}"] = Kind(path.read_bytes(), path.name, raw_values)
    with suppress(ImportError):  # PyAV is an extra
        found["video, mp4"] = Kind(clip(folder / "clip.mp4"), "clip.mp4", video_values)
    return found


def drawn(height: int = 24, width: int = 20, depth: type = np.uint8) -> np.ndarray[Any, Any]:
    """A smooth picture ``(H, W, 3)``."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return picture if depth is np.uint8 else picture.astype(np.uint16) * 257 + 3


def pictures(folder: Path) -> dict[str, Kind]:
    load_plugins()
    rgb, deep = drawn(), drawn(depth=np.uint16)
    colour, grey = Image.fromarray(rgb), Image.fromarray(rgb[..., 0])
    palette = colour.quantize(8)
    ways: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "PNG": (colour, "png", {}),
        "PNG, grey": (grey, "png", {}),
        "PNG, palette": (palette, "png", {}),
        "JPEG": (colour, "jpg", {}),
        "JPEG, progressive": (colour, "jpg", {"progressive": True, "quality": 90}),
        "BMP": (colour, "bmp", {}),
        "GIF": (palette, "gif", {}),
        "PPM": (colour, "ppm", {}),
        "WebP": (colour, "webp", {}),
        "WebP, lossless": (colour, "webp", {"lossless": True}),
        "AVIF": (colour, "avif", {}),
        "JPEG 2000": (colour, "jp2", {}),
        "JPEG XL": (colour, "jxl", {}),
    }
    found = {}
    for name, (image, ending, options) in ways.items():
        path = folder / f"picture.{ending}"
        try:
            image.save(path, **options)
        except (KeyError, ValueError, OSError):  # no plugin writes it here
            continue
        found[name] = Kind(path.read_bytes(), path.name, picture_values, checked=name.startswith("PNG"))
    tiffs: dict[str, dict[str, Any]] = {
        "TIFF": {},
        "TIFF, deflate": {"compression": "zlib"},
        "TIFF, deflate, tiles": {"compression": "zlib", "tile": (16, 16)},
        "TIFF, LZMA": {"compression": "lzma"},
        "TIFF, LZW": {"compression": "lzw"},
        "TIFF, PackBits": {"compression": "packbits"},
    }
    for name, options in tiffs.items():
        for array in (rgb,) if "LZMA" in name else (rgb, deep):
            path = folder / "picture.tif"
            try:
                tifffile.imwrite(path, array, photometric="rgb", **options)
            except (ValueError, ImportError, KeyError):  # imagecodecs is not here
                if ("LZW" not in name and "PackBits" not in name) or array is deep:
                    continue
                Image.fromarray(array).save(path, compression={"L": "tiff_lzw", "P": "packbits"}[name[6]])
            checked = "deflate" in name or "LZMA" in name
            with Image.open(path) as image:
                tags = image.tag_v2  # type: ignore[attr-defined]
                places = zip(tags.get(273, tags.get(324)), tags.get(279, tags.get(325)), strict=True)
                spans = tuple((begin, begin + length) for begin, length in places)
            title = f"{name}, {array.dtype.itemsize * 8} bit"
            content = path.read_bytes()
            found[title] = Kind(content, path.name, picture_values)
            if checked:
                found[f"{title}: its data"] = Kind(content, path.name, picture_values, True, spans)
    heic = Path(__file__).resolve().parents[2] / "shared/cases/phone/IMG_1.HEIC"
    if heic.is_file():
        found["HEIC"] = Kind(heic.read_bytes(), heic.name, picture_values)
    return found


def sets(folder: Path) -> dict[str, Kind]:
    """What training reads."""
    hr = folder / "hr"
    hr.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(drawn(), number, axis=1)).save(hr / f"{number}.png")
    (shard,) = write_shards(Folder(2, hr_dir=hr, num_val=1, cache_dir=folder / "cache"), folder / "shards", 2)
    patches = np.random.default_rng(1).integers(0, 256, (6, 12, 12), dtype=np.uint8)
    found = {"shard": Kind(shard.read_bytes(), shard.name, lambda path: list(read_shard(path, 2)), checked=True)}
    for name, level in (("HDF5", None), ("HDF5, gzip", 4)):
        path = folder / f"patches{level}.h5"
        with HDF5Writer(path, {"hr": (12, 12), "lr": (6, 6)}, 6, {}, seed=None) as writer:
            writer.write(0, {"hr": patches, "lr": patches[:, ::2, ::2]})
            writer.note(1, now=True)
            writer.finish({"scale": 2}, {}, level)
        with h5py.File(path) as file:
            chunks = [file[key].id.get_chunk_info(i) for key in file for i in range(file[key].id.get_num_chunks())]
        spans = tuple((chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in chunks)
        found[name] = Kind(path.read_bytes(), path.name, hdf5_values)
        found[f"{name}: its data"] = Kind(path.read_bytes(), path.name, hdf5_values, True, spans)
    pairs = json.dumps([{"HR": f"hr/{n}.png", "LR": f"hr/{n}.png"} for n in range(3)]).encode()
    found["pair list"] = Kind(pairs, "train.json", partial(pair_values, folder), damage=bent_text)
    np.save(folder / "mosaic.npy", drawn()[..., 0].astype(np.float32) / 255)
    found["mosaic, .npy"] = Kind((folder / "mosaic.npy").read_bytes(), "mosaic.npy", lambda path: Arrays([path])[0])
    store = open_store(sorted(hr.iterdir()), folder / "cache")
    for name in ("pixels.bin", "index.json"):
        content = (store.folder / name).read_bytes()
        found[f"store, {name}"] = Kind(
            content, name, partial(store_values, sorted(hr.iterdir()), store.folder), checked=name == "pixels.bin"
        )
    return found


def weights(folder: Path) -> dict[str, Kind]:
    (folder / "weights").mkdir()
    makers = Makers(folder / "weights")
    found = {}
    for ending in ("ckpt", "safetensors"):
        path = folder / "weights" / f"whole.{ending}"
        found[f"network, .{ending}"] = Kind(path.read_bytes(), path.name, network_values, checked=True)
    checkpoint = (folder / "weights/whole.ckpt").read_bytes()
    found["checkpoint to resume"] = Kind(checkpoint, "last.ckpt", read_checkpoint, checked=True)

    def made(make: Callable[[random.Random], Path]) -> Callable[[bytes, random.Random], bytes]:
        return lambda _, draw: make(draw).read_bytes()

    found["values in a checkpoint"] = Kind(
        checkpoint, "a.ckpt", network_values, damage=made(makers.values_of_checkpoint)
    )
    card = (folder / "weights/whole.safetensors").read_bytes()
    found["card of safetensors"] = Kind(card, "a.safetensors", network_values, damage=made(makers.card_of_safetensors))
    if makers.onnx:
        found["network, .onnx"] = Kind(makers.onnx, "a.onnx", onnx_values)
        found["card of ONNX"] = Kind(makers.onnx, "a.onnx", onnx_values, damage=made(makers.card_of_onnx))
    return found


def settings(folder: Path) -> dict[str, Kind]:
    """What a run left, which resuming reads."""
    from sr_lightning.training.callbacks.settings import write_settings

    overrides = ["model=espcn", "data=samples", "optimizer.lr=0.01", "scheduler=multistep", "+callbacks=ema"][:4]
    cfg = compose("train", [*overrides, f"run_dir={folder / 'run'}"])
    write_settings(cfg, folder / "run")
    text = (folder / "run/config.yaml").read_bytes()
    return {"config.yaml of a run": Kind(text, "config.yaml", settings_values, damage=bent_text)}


def clip(path: Path) -> bytes:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.roll(drawn(32, 32), number, axis=1), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.read_bytes()


# --- what they hold ---------------------------------------------------------------------------------------------------


def picture_values(path: Path) -> Any:
    photo = read_photo(path)
    return photo.pixels, photo.alpha


def raw_values(path: Path) -> Any:
    raw = read_raw(path)
    return raw.mosaic, raw.pattern, raw.gains


def hdf5_values(path: Path) -> Any:
    return {key: [store[i] for i in range(len(store))] for key, store in open_patches(path, 2).items()}


def pair_values(folder: Path, path: Path) -> Any:
    (path.parent / "hr").symlink_to(folder / "hr")
    found = read_pairs(path)
    return [str(picture.relative_to(path.parent)) for picture in (*found.hr, *(found.lr or ()))]


def store_values(files: list[Path], intact: Path, path: Path) -> Any:
    """As after the next start of the machine, when the store is looked at anew."""
    cache = path.parent / "cache"
    place = cache / intact.name
    place.mkdir(parents=True)
    for name in ("pixels.bin", "index.json"):
        (place / name).write_bytes((intact / name).read_bytes())
    path.replace(place / path.name)
    store = open_store(files, cache)
    return store.names, list(store.pictures)


def network_values(path: Path) -> Any:
    return dict(load_model(path).state_dict())


def onnx_values(path: Path) -> Any:
    torch.manual_seed(0)
    network = read_onnx(path)
    return network(*[torch.rand(1, 3, 12, 12) for _ in network.inputs])


def settings_values(path: Path) -> Any:
    (path.parent / "checkpoints").mkdir()
    (path.parent / "checkpoints/last.ckpt").touch()
    return with_settings_of_run([f"ckpt_path={path.parent / 'checkpoints/last.ckpt'}"])[:-1]


def video_values(path: Path) -> Any:
    import av

    upscale(compose("upscale", ["model=bicubic", f"input={path}", f"output={path.parent / 'out'}", "device=cpu"]))
    (made,) = (path.parent / "out").iterdir()
    with av.open(str(made)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


# --- the damage -------------------------------------------------------------------------------------------------------


def damaged(kind: Kind, draw: random.Random) -> bytes:
    """Another content; never the intact one."""
    for _ in range(100):
        if kind.damage is not None:
            content = kind.damage(kind.content, draw)
        elif kind.spans:
            begin, end = draw.choice(kind.spans)
            part = bent(kind.content[begin:end], draw)[: end - begin].ljust(end - begin, b"\0")
            content = kind.content[:begin] + part + kind.content[end:]
        elif draw.random() < 0.25:  # the header
            at = draw.randrange(min(64, len(kind.content)))
            field = draw.choice(
                [b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", draw.randbytes(2)]
            )
            content = kind.content[:at] + field + kind.content[at + len(field) :]
        else:
            content = bent(kind.content, draw)
        if content != kind.content:
            return content
    raise AssertionError("nothing damages this")


def bent_text(content: bytes, draw: random.Random) -> bytes:
    """A text with damaged bytes, or with one value of another kind."""
    if draw.random() < 0.5:
        return bent(content, draw)
    import yaml

    value = replaced({"": yaml.safe_load(content)}, draw).get("", draw.choice(STRANGE)())
    try:
        return json.dumps(value).encode()  # which YAML reads, too
    except (TypeError, RecursionError):
        return bent(content, draw)


# --- looking ----------------------------------------------------------------------------------------------------------


def digest(value: Any) -> str:
    return hashlib.sha256(repr(plain(value)).encode()).hexdigest()


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, dict):
        return [(str(key), plain(part)) for key, part in value.items()]
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def looked_at(kind: Kind, contents: list[bytes], expected: str | None, folder: Path) -> list[tuple[str, str]]:
    """What becomes of each file in a guarded process: the outcome, and in words why.

    A process reads one after the other; where it ends, the next one begins after the file that ended it.
    """
    folder.mkdir()
    note = folder / "outcomes"
    note.touch()
    while True:
        found: list[tuple[str, str]] = [tuple(json.loads(line)) for line in note.read_text().splitlines()]
        if len(found) == len(contents):
            shutil.rmtree(folder)
            return found
        if not (pid := os.fork()):
            try:
                read_all(kind, contents, len(found), expected, note)
            finally:
                os._exit(0)
        status = os.waitpid(pid, 0)[1]
        ended = note.read_text().count("\n")
        if ended < len(contents):
            signum = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            with note.open("a") as file:
                outcome = "hang" if signum == signal.SIGALRM else "traceback"
                file.write(json.dumps((outcome, f"ended by signal {signum}")) + "\n")


def read_all(kind: Kind, contents: list[bytes], first: int, expected: str | None, note: Path) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    for number, content in enumerate(contents[first:], first):
        path = note.parent / f"{number}/{kind.name}"
        path.parent.mkdir()
        path.write_bytes(content)
        os.environ["SR_CACHE"] = str(path.parent / "cache")
        signal.alarm(SECONDS)
        outcome = read(kind, path, expected)
        signal.alarm(0)
        with note.open("a") as file:
            file.write(json.dumps(outcome) + "\n")


def read(kind: Kind, path: Path, expected: str | None) -> tuple[str, str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = digest(kind.read(path))
        except SRError as error:
            return ("traceback", f"two lines: {error}") if "\n" in str(error) else ("refused", str(error))
        except BaseException:
            return "traceback", traceback.format_exc()
    if expected is None or found == expected:
        return "equal", found
    if any(path.name in str(warning.message) for warning in told):
        return "told", ""
    return ("silent" if kind.checked else "other"), ""


def fuzz(inputs: int, minutes: float, seed: int, only: Sequence[str] = ()) -> Iterator[tuple[str, int, str, str]]:
    """Name of the kind, number of the input, outcome, and why; by turns, until the time is over."""
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "intact").mkdir()
        found = kinds(folder / "intact")
        known = {name: kind for name, kind in found.items() if not only or any(part in name for part in only)}
        expected = {}
        for name, kind in known.items():
            ((outcome, expected[name]),) = looked_at(kind, [kind.content], None, folder / "first")
            if outcome != "equal":
                raise SystemExit(f"{name}: the intact file is {outcome}: {expected[name]}")
        each = -(-inputs // len(known))
        for first in range(0, each, BLOCK):
            for name, kind in known.items():
                if time.monotonic() > until:
                    return
                numbers = range(first, min(each, first + BLOCK))
                contents = [damaged(kind, random.Random(f"{seed} {name} {number}")) for number in numbers]
                outcomes = looked_at(kind, contents, expected[name], folder / "block")
                yield from ((name, number, *outcome) for number, outcome in zip(numbers, outcomes, strict=True))


def table(counts: dict[str, Counter[str]], command: str) -> str:
    total = sum((count for count in counts.values()), Counter[str]())
    lines = [
        f"{total.total():,} damaged files, read in guarded processes with {MEMORY >> 30} GiB more memory than they "
        f"begin with and {SECONDS} s a file, on {machine()}.",
        f"Made by `{command}`; the first lines of `benchmarks/fuzz.py` say what the outcomes are.",
        "",
        "`other` are values that differ in formats without a checksum, where nobody can tell them from the right ones.",
        "",
        f"| kind | inputs | {' | '.join(OUTCOMES)} |",
        f"|---|{'---|' * (1 + len(OUTCOMES))}",
    ]
    for name, count in [*counts.items(), ("all", total)]:
        lines.append(f"| {name} | {count.total()} | {' | '.join(str(count[outcome]) for outcome in OUTCOMES)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parser("kinds with one of these in their names")
    options.add_argument("--inputs", type=int, default=3600)
    args = options.parse_args()
    counts: dict[str, Counter[str]] = {}
    wrong = 0
    for name, number, outcome, why in fuzz(args.inputs, args.minutes, args.seed, args.only):
        counts.setdefault(name, Counter())[outcome] += 1
        if outcome in WRONG:
            wrong += 1
            print(f"--- {name}, number {number}: {outcome}\n{why}", flush=True)
    end(table(counts, f"python benchmarks/fuzz.py --inputs {args.inputs} --seed {args.seed}"), args.output, wrong)


if __name__ == "__main__":
    main()
