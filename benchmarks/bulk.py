"""Enlarging many pictures: parts and Ray's workers against one process, workers that are killed, lists of names.

    python benchmarks/bulk.py speed [pictures] [side]   # one process, two parts, two workers; best of 3
    python benchmarks/bulk.py killed [pictures]         # a worker dies in the middle, then the rest is done
    python benchmarks/bulk.py names [files]             # how long and how much memory the list of pictures takes

Tables for benchmarks/scaling.md go to the standard output. Only processes that this script started are killed.
"""

import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

COMMAND = [sys.executable, "-m", "sr_lightning.upscale"]
TAG = "SR_BULK_RUN"


def pictures(folder: Path, count: int, side: int) -> Path:
    """Smooth pictures, in folders of a thousand."""
    generator = np.random.default_rng(0)
    for number in range(count):
        here = folder / f"{number // 1000:05d}"
        here.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(generator.integers(0, 256, (max(2, side // 8),) * 2 + (3,), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(here / f"{number:07d}.png")
    return folder


def start(source: Path, output: Path, *words: str, threads: int = 1, **env: str) -> subprocess.Popen[str]:
    command = [*COMMAND, f"input={source}", f"output={output}", "model=fsrcnn", "device=cpu", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **env}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(output: Path) -> dict[str, int]:
    """When each result was written."""
    return {str(path.relative_to(output)): path.stat().st_mtime_ns for path in output.rglob("[!.]*.png")}


def steady(output: Path, share: float = 0.2) -> float:
    """Results a second, without the first ones: starting takes longer with Ray, and counts little in a long run."""
    times = sorted(results(output).values())[int(share * len(results(output))) :]
    return (len(times) - 1) / max(1e-9, (times[-1] - times[0]) / 1e9)


def workers_of(tag: str) -> list[int]:
    """The processes of Ray's workers that inherited the tag."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{TAG}={tag}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if ours and (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def speed(count: int, side: int, rounds: int = 3) -> None:
    """The best of some rounds, in which the ways take turns: others may use the machine meanwhile."""
    ways = {
        "one process, 1 thread": [((), 1)],
        "one process, 2 threads": [((), 2)],
        "2 parts, 1 thread each": [(("part=1/2",), 1), (("part=2/2",), 1)],
        "`cluster=ray workers=2`": [(("cluster=ray", "workers=2"), 1)],
    }
    best = {name: (0.0, float("inf")) for name in ways}
    with tempfile.TemporaryDirectory() as work:
        source, output = pictures(Path(work) / "in", count, side), Path(work) / "out"
        for _ in range(rounds):
            for name, commands in ways.items():
                began = time.perf_counter()
                running = [start(source, output, *words, threads=threads) for words, threads in commands]
                for process in running:
                    _, errors = process.communicate()
                    assert process.returncode == 0, errors
                took = time.perf_counter() - began
                assert len(results(output)) == count
                best[name] = max(best[name][0], steady(output)), min(best[name][1], took)
                print(name, f"{took:.1f} s, {steady(output):.2f}/s", file=sys.stderr, flush=True)
                shutil.rmtree(output)
    print("| way | seconds in all | pictures/s after the start | times one thread | times two threads |")
    print("|---|---|---|---|---|")
    alone, two = (best[name][0] for name in [*ways][:2])
    for name, (rate, took) in best.items():
        print(f"| {name} | {took:.1f} | {rate:.2f} | {rate / alone:.2f} | {rate / two:.2f} |")


def killed(count: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        source, output, tag = pictures(Path(work) / "in", count, 32), Path(work) / "out", secrets.token_hex(8)
        process = start(source, output, "cluster=ray", "workers=2", **{TAG: tag})
        assert process.stdout is not None
        first, kills = dict[str, int](), 0
        told = list(islice(process.stdout, count // 3))
        first = results(output)
        for victim in workers_of(tag)[:1]:
            os.kill(victim, signal.SIGKILL)
            kills += 1
        told += process.stdout.readlines()
        errors = process.stderr.read() if process.stderr else ""
        code = process.wait()
        last = results(output)
        twice = sum(last[name] != when for name, when in first.items())
        print("| pictures | killed | exit code | results | told | told twice | written when killed | of them, twice |")
        print("|---|---|---|---|---|---|---|---|")
        row = count, kills, code, len(last), len(told), len(told) - len({*told}), len(first), twice
        print(f"| {' | '.join(map(str, row))} |")
        print(
            *[line for line in errors.splitlines() if "worker" in line],
            *[line for line in told if "/out/" not in line],
            file=sys.stderr,
        )
        for path in list(output.rglob("*.png"))[::2]:
            path.unlink()
        kept = results(output)
        again = start(source, output, "overwrite=skip", "cluster=ray", "workers=2")
        out, errors = again.communicate()
        now = results(output)
        changed = sum(now[name] != when for name, when in kept.items())
        print(
            f"\nHalf of the results were removed. `overwrite=skip` made {len(out.splitlines())} and left {len(kept)},"
        )
        print(f"of which {changed} changed; {len(now)} are there; exit code {again.returncode}.")


def names(count: int) -> None:
    from sr_lightning.config import compose
    from sr_lightning.inference.files.jobs import find_jobs

    with tempfile.TemporaryDirectory() as work:
        for number in range(count):
            folder = Path(work) / "in" / f"{number // 1000:05d}"
            if number % 1000 == 0:
                folder.mkdir(parents=True)
            os.close(os.open(folder / f"picture_{number:08d}.png", os.O_CREAT | os.O_WRONLY))
        cfg = compose("upscale", [f"input={work}/in", f"output={work}/out"])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        jobs = find_jobs(cfg)
        took = time.perf_counter() - began
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"| {len(jobs):,} names | {took:.1f} s | {memory:.0f} MiB |")


if __name__ == "__main__":
    kind, *numbers = sys.argv[1:] or ["speed"]
    if kind == "speed":
        count, side = map(int, (numbers + ["400", "128"][len(numbers) :])[:2])
        speed(count, side)
    elif kind == "killed":
        killed(int((numbers or ["10000"])[0]))
    elif kind == "names":
        names(int((numbers or ["100000"])[0]))
    else:
        sys.exit(__doc__)
