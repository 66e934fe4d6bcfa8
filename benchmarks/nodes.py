"""Two nodes on this machine: ``torchrun --nnodes=2`` over loopback, beside one process; killed, and gone on with.

    python benchmarks/nodes.py            # prints the section of benchmarks/scaling.md, about a minute
    SR_SLURM=1 python benchmarks/nodes.py # also on a SLURM cluster of two nodes whose commands are on PATH

Every run trains ESPCN on sample pictures for a few steps, in a new folder.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

RUN = [
    "model=espcn", "model.num_features=8", "trainer.precision=float32", "trainer.limit_val_batches=1", "seed=1",
    "trainer.enable_progress_bar=false", "data.batches_per_epoch=4", "data.patch_size=48", "data.num_workers=0",
    "optimizer.lr=0.01", "callbacks.channels_last.when=never", "trainer.accelerator=cpu", "epochs=25",
]  # fmt: skip
TRAIN = ["-m", "sr_lightning.train"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        one = subprocess.run([sys.executable, *TRAIN, "trainer=auto", "data.batch_size=4", *RUN, "run_dir=one"])
        assert one.returncode == 0
        wait(nodes("two"))
        killed = nodes("killed")
        while not Path("killed/checkpoints/last.ckpt").exists():
            time.sleep(0.05)
        os.kill(rank_of(1), signal.SIGKILL)
        errors = wait(killed)
        at = load("killed")["global_step"]
        wait(nodes("killed", "ckpt_path=auto"))
        rows = [
            ("two nodes, batch 2 each, beside one process, batch 4", apart("one", "two")),
            (f"a node killed after step {at}, then `ckpt_path=auto`, beside the unbroken run", apart("two", "killed")),
        ]
        if os.environ.get("SR_SLURM"):
            rows.append(("a SLURM job requeued by SIGUSR1, beside the unbroken run", apart("two", slurm())))
        print("\n| 100 steps | largest difference of a weight |\n|---|---|")
        print("\n".join(f"| {what} | {difference:.2g} |" for what, difference in rows))
        print(f"\nThe first node said, of the other's death:\n\n```\n{errors}\n```")


def nodes(folder: str, *more: str) -> list[subprocess.Popen[str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    start = ["torchrun", "--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
    typed = [*TRAIN, "trainer=ddp", "data.batch_size=2", *RUN, f"run_dir={folder}", *more]
    return [
        subprocess.Popen([*start, f"--node-rank={node}", *typed], stderr=subprocess.PIPE, text=True) for node in (0, 1)
    ]


def wait(processes: list[subprocess.Popen[str]]) -> str:
    """The errors that the first node told."""
    said = [process.communicate(timeout=600)[1] for process in processes]
    return "\n".join(line for line in said[0].splitlines() if line.startswith("error:"))


def rank_of(rank: int) -> int:
    """The process of that rank."""
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RANK={rank}".encode() in environment and b"run_dir=killed" in (place.parent / "cmdline").read_bytes():
            return int(place.parent.name)
    raise ProcessLookupError(rank)


def slurm() -> str:
    command = " ".join(["srun", sys.executable, *TRAIN, "trainer=slurm", "data.batch_size=2", *RUN])
    Path("job.sh").write_text(f"#!/bin/bash\n{command}\n")
    submitted = subprocess.run(
        ["sbatch", "--nodes=2", "--ntasks-per-node=1", "--requeue", "--open-mode=append", "job.sh"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    job = re.findall(r"\d+", submitted.stdout)[-1]
    folder = f"runs/train/slurm-{job}"
    while not Path(folder, "checkpoints/last.ckpt").exists():
        time.sleep(0.05)
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    while subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=True).stdout.strip():
        time.sleep(2)
    print(Path(f"slurm-{job}.out").read_text(), file=sys.stderr)
    return folder


def load(folder: str) -> dict[str, object]:
    found: dict[str, object] = torch.load(Path(folder, "checkpoints/last.ckpt"), weights_only=True)
    return found


def apart(one: str, two: str) -> float:
    a, b = (load(folder)["state_dict"] for folder in (one, two))
    return max(float((a[name] - b[name]).abs().max()) for name in a)  # type: ignore[attr-defined,index]


if __name__ == "__main__":
    main()
