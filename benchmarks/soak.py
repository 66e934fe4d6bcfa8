"""Kills every command that writes, at random moments, and looks at what is left.

    python benchmarks/soak.py [--kills 120] [--minutes 20] [--seed 1] [--folder runs/soak] [--output benchmarks/soak.md]

A round takes one part in an empty folder: start, SIGKILL after a random time, look, start again, until some kills are
done; then the part runs to its end. Looked at is, after every kill:

- every file that has its final name is equal to the file of an unbroken run, so that no half file has a final name;
- every file that was there before is still there;

and in the end: all files are those of the unbroken run, bit for bit, and nothing hidden or temporary is left. Not
counted as left over are a run folder's `.lock` and what lies in the folder of a run that was killed before its first
checkpoint, since no run goes on from there. Before the last run, empty folders that end in `.tmp` are made 15 minutes
older: a younger one may belong to a process that has just begun, and is left alone.

Processes are forked from one that has imported torch, so that a kill costs no import. Rounds that are done are noted
in the folder: after an interruption the same command goes on with the next one. The moments are drawn from the seed,
but what they hit depends on the machine's speed.
"""

import hashlib
import http.server
import io
import json
import os
import random
import re
import shutil
import signal
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image
from seeded import end, machine, parser

from sr_lightning.config import compose
from sr_lightning.data import raw_synthesis
from sr_lightning.data.files.download import Archive, download_and_unpack
from sr_lightning.data.patches.store import bicubic_store, open_store
from sr_lightning.data.prepare import cutting, shard_writing
from sr_lightning.errors import NothingToDo
from sr_lightning.inference import loading
from sr_lightning.inference.files import jobs
from sr_lightning.prepare import prepare
from sr_lightning.train import train
from sr_lightning.training import fitting
from sr_lightning.training.resume import with_settings_of_run
from sr_lightning.upscale import upscale

_ = fitting, cutting, raw_synthesis, shard_writing, jobs, loading  # imported once, and not in every child
KILLS_IN_A_ROUND = 5
LIMIT = 300  # seconds after which an undisturbed run counts as hanging
NOTES = {"checked", "patches.json"}  # say how far a command is, and change while it works
Finished = dict[str, str]


@dataclass(frozen=True)
class Part:
    """A command to kill.

    Attributes:
        work: Does all of it in a folder, or goes on with what a killed one left there.
        finished: The files that have their final names, each with a word that stands for its content.
        processes: How many work in the folder at once.
    """

    work: Callable[[Path], Any]
    finished: Callable[[Path], Finished]
    processes: int = 1


# --- the commands -----------------------------------------------------------------------------------------------------


def parts(source: Path, home: str, archive: bytes) -> dict[str, Part]:
    """Every command that writes; ``source`` is a new folder for what they read, ``home`` serves the archive."""
    few, many = make_pictures(source / "few", 4, (72, 60)), make_pictures(source / "many", 24, (240, 180))
    window = ["width=24", "height=24", "stride=12", "upscale_factor=2"]
    shards = ["data=folder", f"data.hr_dir={many}", "data.num_val=2", "shard_size=3"]
    photographs = [
        "data=raw_synthesis",
        f"data.hr_dir={few}",
        "data.num_val=1",
        "data.versions=6",
        "data.patch_size=48",
    ]
    pairs = [f"input={few}", *window, "flips=[0,1]", "rotations=[0,90,180,270]"]

    def command(*overrides: str, **places: str) -> Callable[[Path], Any]:
        def work(folder: Path) -> None:
            (folder / "out").mkdir(exist_ok=True)
            os.chdir(folder)  # an HDF5 file notes what was typed for it
            prepare(compose("prepare", [*overrides, *(f"{key}={name}" for key, name in places.items())]))

        return work

    def store(folder: Path) -> None:
        bicubic_store(open_store(sorted(many.iterdir()), folder / "out"), 2, folder / "out")

    def enlarge(folder: Path) -> None:
        options = ["overwrite=skip", "device=cpu", "precision=float32"]
        upscale(compose("upscale", [f"input={few}", f"output={folder / 'out'}", *options]))

    def download(folder: Path) -> None:
        download_and_unpack(Archive(f"{home}/SET.zip", md5(archive)), folder / "out")

    def unpacked(folder: Path) -> Finished:
        """The archive itself goes when all of it is unpacked."""
        return {name: what for name, what in contents(folder).items() if (name, what) != ("SET.zip", md5(archive))}

    return {
        "train": Part(partial(learn, few, ["data.num_workers=0"]), states),
        "train with EMA, plateau, a loader's process": Part(
            partial(learn, few, ["data.num_workers=1", "callbacks=[default,ema]", "scheduler=plateau"]), states
        ),
        "prepare shards=, two at once": Part(command(*shards, shards="out"), contents, processes=2),
        "prepare to HDF5": Part(
            command(f"input={many}", *window, "use_h5py=true", "gzip=4", output="out/patches.h5"), contents
        ),
        "prepare to PNG pairs": Part(command(*pairs, output_hr="out/hr", output_lr="out/lr"), contents),
        "prepare write=, two at once": Part(command(*photographs, write="out"), contents, processes=2),
        "store of decoded pictures, two at once": Part(store, contents, processes=2),
        "upscale of a folder": Part(enlarge, contents),
        "download from this machine": Part(download, unpacked),
    }


def make_pictures(folder: Path, count: int, size: tuple[int, int]) -> Path:
    generator = np.random.default_rng(count)
    folder.mkdir(parents=True)
    for index in range(count):
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"picture{index:02d}.png")
    return folder


def learn(pictures: Path, options: list[str], folder: Path) -> None:
    """Trains in a new folder, or goes on from the newest checkpoint, in its folder or in another by turns."""
    kept = sorted(folder.glob("run*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    new = folder / f"run{len(list(folder.iterdir()))}"
    if not kept:
        typed = [
            "model=espcn", "model.num_features=8", "trainer=cpu", "trainer.precision=32-true", "epochs=6",
            "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
            "data=folder", f"data.hr_dir={pictures}", "data.num_val=1", "data.batches_per_epoch=5", "data.batch_size=2",
            "data.patch_size=32", "optimizer.lr=0.01", "callbacks.checkpoint.save_top_k=-1",
            "callbacks.checkpoint.filename='{epoch}'", *options,
        ]  # fmt: skip
    else:
        steps = torch.load(kept[-1], weights_only=True)["global_step"]
        typed = with_settings_of_run([f"ckpt_path={kept[-1]}"])
        new = kept[-1].parent.parent if steps % 2 else new
    with suppress(NothingToDo):  # it was killed after its last step
        train(compose("train", [*typed, f"run_dir={new}"]))


# --- what is left -----------------------------------------------------------------------------------------------------


def contents(folder: Path) -> Finished:
    """The files below ``out`` that are called neither hidden nor partial."""
    out = folder / "out"
    files = [path for path in out.rglob("*") if path.is_file() and not is_temporary(path.relative_to(out))]
    return {str(path.relative_to(out)): "" if is_note(path) else md5(path.read_bytes()) for path in files}


def states(folder: Path) -> Finished:
    """Weights, optimizer, schedule and averages by the number of steps, of all checkpoints of all run folders."""
    found: dict[str, set[str]] = {}
    for path in folder.glob("run*/checkpoints/*.ckpt"):
        if not path.name.startswith("."):
            checkpoint = torch.load(path, weights_only=True)
            parts = [checkpoint[key] for key in ("epoch", "state_dict", "optimizer_states", "lr_schedulers")]
            found.setdefault(f"step {checkpoint['global_step']}", set()).add(md5(repr(plain(parts)).encode()))
    return {step: "+".join(sorted(digests)) for step, digests in found.items()}


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), md5(value.contiguous().numpy().tobytes())
    if isinstance(value, dict):
        return [(key, plain(part)) for key, part in value.items()]
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def is_temporary(path: Path) -> bool:
    return any(part.startswith(".") or part.endswith((".part", ".bad", ".tmp")) for part in path.parts)


def is_note(path: Path) -> bool:
    """Whether it is a whole one."""
    return path.name in NOTES and (path.name == "checked" or bool(json.loads(path.read_text())))


def leftovers(folder: Path) -> list[str]:
    """A run folder's lock stays where it was killed; the system has freed it.

    So does all in the folder of a run that was killed before its first checkpoint: no run goes on from there.
    """
    dead = [run for run in folder.glob("run*") if not any(run.glob("checkpoints/*.ckpt"))]
    found = [path for path in folder.rglob("*") if not any(run in path.parents for run in dead)]
    names = (path.relative_to(folder) for path in found)
    return sorted(str(name) for name in names if is_temporary(name) and name.name != ".lock")


def age(folder: Path) -> None:
    """As if the next run came later: an empty folder may be that of a process that has just begun."""
    for path in folder.rglob("*.tmp"):
        if path.is_dir() and not any(path.iterdir()):
            os.utime(path, (time.time() - 900,) * 2)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


# --- processes --------------------------------------------------------------------------------------------------------


def start(work: Callable[[Path], Any], folder: Path) -> int:
    """A process in a group of its own; what it fails with is noted beside the folder."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        work(folder)
        code = 0
    except BaseException:
        folder.with_suffix(".fault").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def ended(pid: int, seconds: float) -> bool:
    """Waits so long for a process to end; whether it did."""
    until = time.monotonic() + seconds
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() >= until:
            return False
        time.sleep(0.002)
    return True


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # so young that it has no group of its own yet
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one archive, slowly enough to be killed in the middle, from any byte on."""

    archive = b""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        first = int(asked[1]) if asked else 0
        if first >= len(self.archive):
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(self.archive) - first))
        self.send_header("Content-Range", f"bytes {first}-{len(self.archive) - 1}/{len(self.archive)}")
        self.end_headers()
        for begin in range(first, len(self.archive), 1 << 16):
            self.wfile.write(self.archive[begin : begin + (1 << 16)])
            time.sleep(0.01)
        return None

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(archive: bytes) -> Iterator[str]:
    """The address of a server in a process of its own: one with threads could not be forked safely."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    Handler.archive = archive
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed all the time
    pid = start(lambda _: server.serve_forever(), Path("serving"))
    server.server_close()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        kill(pid)


def archive_to_serve() -> bytes:
    noise = np.random.default_rng(0).bytes(1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(40):
            archive.writestr(f"SET_{number % 2}/{number}.bin", noise[number << 14 :])
    return buffer.getvalue()


# --- rounds -----------------------------------------------------------------------------------------------------------


def one_round(part: Part, expected: Finished, seconds: float, kills: int, draw: random.Random, folder: Path) -> Any:
    """Kills and looks until there were so many kills; how many there were, and every fault."""
    folder.mkdir(parents=True)
    faults: list[str] = []
    before, done = {}, 0

    def look() -> None:
        nonlocal before
        now = part.finished(folder)
        faults.extend(f"half: {name}" for name, what in now.items() if expected.get(name) != what)
        faults.extend(f"lost: {name}" for name in before if name not in now)
        if (fault := folder.with_suffix(".fault")).exists():
            faults.append(f"failed: {fault.read_text()}")
            fault.unlink()
        before = now

    while done < kills and not faults:
        moments = sorted(draw.uniform(0, 0.9 * seconds) for _ in range(part.processes))
        if part.processes > 1 and draw.random() < 0.5:
            moments[-1] = LIMIT  # this one lives
        begin = time.monotonic()
        running = [start(part.work, folder) for _ in moments]
        killed = 0
        for pid, moment in zip(running, moments, strict=True):
            if not ended(pid, begin + moment - time.monotonic()):
                kill(pid)
                killed += 1
            look()
        done += killed
        if not killed:
            break
    age(folder)
    last = start(part.work, folder)
    if not ended(last, LIMIT):
        kill(last)
        faults.append(f"hangs: more than {LIMIT} s")
    look()
    faults.extend(f"missing: {name}" for name in expected.keys() - before.keys())
    faults.extend(f"left over: {name}" for name in leftovers(folder))
    if not faults:
        shutil.rmtree(folder)
    return {"kills": done, "faults": faults}


def soak(kills: int, minutes: float, seed: int, folder: Path, only: Sequence[str] = ()) -> dict[str, list[Any]]:
    """The rounds of every part, by turns, until there were so many kills or the time is over."""
    until = time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder / f"rounds-{seed}.json"
    rounds: dict[str, list[Any]] = json.loads(notes.read_text()) if notes.exists() else {}
    source = folder.absolute() / f"source-{os.getpid()}"
    os.environ["SR_CACHE"] = str(source / "cache")
    archive = archive_to_serve()
    try:
        with serving(archive) as home:
            known = {name: part for name, part in parts(source, home, archive).items() if not only or name in only}
            unbroken: dict[str, tuple[Finished, float]] = {}
            for name, part in known.items():
                unbroken[name] = run_unbroken(part, source / f"unbroken-{len(unbroken)}")
            each = -(-kills // len(known))
            while time.monotonic() < until:
                todo = [name for name in known if sum(r["kills"] for r in rounds.get(name, ())) < each]
                if not todo:
                    break
                for name in todo:
                    done = rounds.setdefault(name, [])
                    missing = min(KILLS_IN_A_ROUND, each - sum(r["kills"] for r in done))
                    draw = random.Random(f"{seed} {name} {len(done)}")
                    place = folder.absolute() / f"{re.sub('[^a-z]+', '-', name.lower())}-{len(done)}"
                    shutil.rmtree(place, ignore_errors=True)
                    done.append(one_round(known[name], *unbroken[name], missing, draw, place))
                    notes.write_text(json.dumps(rounds, indent=1))
                    print(f"{name}: {done[-1]['kills']} kills, {done[-1]['faults'] or 'as unbroken'}", flush=True)
    finally:
        shutil.rmtree(source, ignore_errors=True)
    return rounds


def run_unbroken(part: Part, folder: Path) -> tuple[Finished, float]:
    """What an undisturbed run leaves, twice to be sure that it is always the same, and the seconds it takes."""
    made, seconds = [], float("inf")
    for again in range(2):
        place = folder.with_name(f"{folder.name}-{again}")
        place.mkdir(parents=True)
        begin = time.monotonic()
        if not ended(pid := start(part.work, place), LIMIT):
            kill(pid)
            raise SystemExit(f"{folder}: takes more than {LIMIT} s")
        seconds = min(seconds, time.monotonic() - begin)
        if (fault := place.with_suffix(".fault")).exists():
            raise SystemExit(fault.read_text())
        made.append(part.finished(place))
    if made[0] != made[1] or not made[0]:
        raise SystemExit(f"{folder}: two unbroken runs differ, or leave nothing")
    return made[0], seconds


def table(rounds: dict[str, list[Any]], command: str) -> str:
    kinds = ("lost", "half", "missing", "left over", "failed", "hangs")
    lines = [
        "Commands killed by SIGKILL at random moments and run again, compared with unbroken runs bit for bit.",
        f"{sum(r['kills'] for done in rounds.values() for r in done)} kills on {machine()}.",
        f"Made by `{command}`; the first lines of `benchmarks/soak.py` say what is looked at,",
        "and what counts as left over.",
        "",
        f"| part | rounds | kills | {' | '.join(kinds)} |",
        f"|---|{'---|' * (2 + len(kinds))}",
    ]
    for name, done in rounds.items():
        counts = [sum(fault.startswith(f"{kind}:") for r in done for fault in r["faults"]) for kind in kinds]
        lines.append(f"| {name} | {len(done)} | {sum(r['kills'] for r in done)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parser("these parts alone, by their names")
    options.add_argument("--kills", type=int, default=120)
    options.add_argument("--folder", type=Path, default=Path("runs/soak"))
    args = options.parse_args()
    rounds = soak(args.kills, args.minutes, args.seed, args.folder, args.only)
    faults = [f"{name}: {fault}" for name, done in rounds.items() for r in done for fault in r["faults"]]
    print("\n".join(faults))
    end(table(rounds, f"python benchmarks/soak.py --kills {args.kills} --seed {args.seed}"), args.output, len(faults))


if __name__ == "__main__":
    main()
