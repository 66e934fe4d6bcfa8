"""Many clients at one server: every answer is compared with the file that `upscale` writes.

    python benchmarks/serve.py [--clients 50] [--minutes 5] [--model fsrcnn] [--output benchmarks/serve.md]

The server is a process on this machine, with the clients in this one. Each client sends one of some pictures after the
other, of 12 sizes, drawn from a seed. An answer is wrong if one byte differs from the file of `upscale` with the same
network and tile; it is lost if there is none. Memory is that of the server and its worker, once a minute.
"""

import argparse
import io
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image
from seeded import machine
from skimage import data

from sr_lightning.config import compose
from sr_lightning.upscale import upscale

SIZES = [(48, 64), (64, 64), (40, 96), (80, 60), (33, 47), (96, 96), (50, 50), (72, 40), (64, 100), (100, 64), (56, 88)]
SIZES.append((120, 80))
SETTINGS = ["device=cpu", "tile=64"]


def pictures(folder: Path, model: str) -> list[tuple[bytes, bytes]]:
    """What is sent, and the file of ``upscale``: three pictures of each size."""
    photos, made = [data.astronaut(), data.chelsea(), data.coffee()], []
    for number, (height, width) in enumerate(SIZES):
        for which, photo in enumerate(photos):
            path = folder / f"{number}_{which}.png"
            Image.fromarray(np.ascontiguousarray(photo[100 : 100 + height, 120 : 120 + width])).save(path)
            given = [f"input={path}", f"output={folder}/large", f"model={model}", *SETTINGS]
            (result,) = upscale(compose("upscale", given))
            made.append((path.read_bytes(), result.read_bytes()))
    return made


class Load:
    """What clients have seen."""

    def __init__(self, address: str, given: list[tuple[bytes, bytes]], seed: int) -> None:
        self.address, self.given, self.seed = address, given, seed
        self.lock, self.over = threading.Lock(), threading.Event()
        self.outcomes, self.seconds = Counter[str](), list[float]()

    def client(self, number: int) -> None:
        draw = random.Random(f"{self.seed} {number}")
        while not self.over.is_set():
            sent, expected = draw.choice(self.given)
            begin = time.perf_counter()
            try:
                with urlopen(Request(f"{self.address}/upscale", sent), timeout=120) as answer:
                    outcome = "right" if answer.read() == expected else "wrong"
            except HTTPError as error:
                outcome = f"code {error.code}"
            except OSError:
                outcome = "lost"
            with self.lock:
                self.outcomes[outcome] += 1
                self.seconds.append(time.perf_counter() - begin)


def metrics(address: str) -> dict[str, float]:
    with urlopen(f"{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def memory(values: dict[str, float]) -> tuple[float, float]:
    """MB of the server and of its worker."""
    return tuple(values[f'sr_memory_bytes{{process="{name}"}}'] / 1e6 for name in ("server", "worker 0"))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--model", default="fsrcnn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="benchmarks/serve.md")
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        given = pictures(Path(folder), args.model)
        argv = [sys.executable, "-m", "sr_lightning.serve", f"port={port}", f"model={args.model}", *SETTINGS]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        server.stdout.readline(), server.stdout.readline()
        load = Load(address, given, args.seed)
        clients = [threading.Thread(target=load.client, args=(i,)) for i in range(args.clients)]
        begin = time.monotonic()
        for client in clients:
            client.start()
        rows = []
        for minute in range(1, max(1, round(args.minutes)) + 1):
            load.over.wait(max(0.0, begin + 60 * min(minute, args.minutes) - time.monotonic()))
            rows.append((minute, sum(load.outcomes.values()), *memory(metrics(address))))
            print(rows[-1], dict(load.outcomes), flush=True)
        load.over.set()
        for client in clients:
            client.join()
        seconds, values = time.monotonic() - begin, metrics(address)
        server.send_signal(signal.SIGTERM)
        code = server.wait(120)
    write(Path(args.output), args, load, seconds, values, rows, code)


def write(
    path: Path,
    args: argparse.Namespace,
    load: Load,
    seconds: float,
    values: dict[str, float],
    rows: list[tuple[float, ...]],
    code: int,
) -> None:
    taken, answered = sorted(load.seconds), sum(load.outcomes.values())
    p50, p95 = (taken[int(share * (len(taken) - 1))] for share in (0.5, 0.95))
    failed = sum(count for name, count in load.outcomes.items() if name.startswith("code"))
    text = io.StringIO()
    print(f"{args.clients} clients at one server for {seconds:.0f} s, on {machine()}.", file=text)
    made = f"--clients {args.clients} --minutes {args.minutes:g} --model {args.model} --seed {args.seed}"
    print(f"Made by `python benchmarks/serve.py {made}`; its first lines say what is compared.", file=text)
    print("\nOther work ran on the machine, so the seconds say little about the server's speed.\n", file=text)
    print("| what | |\n|---|---|", file=text)
    tiles, batches, alone = (values[f"sr_{key}_total"] for key in ("tiles", "batches", "alone"))
    for what, value in (
        ("requests", answered),
        ("right, to the last byte", load.outcomes["right"]),
        ("wrong", load.outcomes["wrong"]),
        ("lost", load.outcomes["lost"]),
        ("refused or failed", failed),
        ("seconds to the answer, half of them", f"{p50:.2f}"),
        ("seconds to the answer, 95 of 100", f"{p95:.2f}"),
        ("tiles", f"{tiles:.0f}"),
        ("tiles in a batch, on average", f"{tiles / batches:.2f}"),
        (
            "tiles that met and were computed one by one, to compare or because a bit differed",
            f"{alone:.0f}",
        ),
        ("exit code after SIGTERM", code),
    ):
        print(f"| {what} | {value} |", file=text)
    print("\n| minute | answers so far | MB of the server | MB of the worker |\n|---|---|---|---|", file=text)
    for minute, count, of_server, of_worker in rows:
        print(f"| {minute:.0f} | {count:.0f} | {of_server:.0f} | {of_worker:.0f} |", file=text)
    path.write_text(text.getvalue(), encoding="utf-8")
    print(text.getvalue())


if __name__ == "__main__":
    main()
