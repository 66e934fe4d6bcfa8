"""``python -m sr_lightning.benchmark infer``: how fast this machine enlarges, trains, reads, scores and starts."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_lightning.atomic import expand_home
from sr_lightning.cli.start import run
from sr_lightning.config.quoting import literal
from sr_lightning.devices import found_device
from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What can be measured, each by the file of ``benchmarking`` that has its name.
KINDS = ("infer", "train", "data", "metrics", "start")
#: The picture's size, where there is one.
SIZES = {"infer": "1020x678", "metrics": "2040x1356"}


def benchmark(cfg: DictConfig) -> dict[str, Any]:
    """Measures what ``kind`` names, prints a table, and compares it with an earlier result if there is one.

    Returns:
        What ``output`` holds: ``kind``, ``settings``, ``machine`` and ``rows``.

    Raises:
        SRError: If an option is invalid, nothing could be measured, or a row is worse than in ``compare``.

    Example:
        >>> from sr_lightning.config import compose
        >>> result = benchmark(compose("benchmark", ["kind=infer", "model=span"]))  # doctest: +SKIP
    """
    output = _refuse_what_cannot_work(cfg)
    from sr_lightning.benchmarking.compare import compare, read_result
    from sr_lightning.benchmarking.machine import facts, speeds, use_threads
    from sr_lightning.benchmarking.report import machine_line, table, with_shares
    from sr_lightning.evaluation.scoring import write_json

    cfg.size = cfg.size or SIZES.get(cfg.kind)
    settings = {"kind": cfg.kind, "scale": cfg.scale, "size": cfg.size}
    earlier = read_result(cfg.compare, settings) if cfg.compare else None
    use_threads(cfg.threads)
    device = found_device(cfg.device)
    before = speeds(device)
    rows = import_module(f"sr_lightning.benchmarking.{cfg.kind}").measure(cfg, device)
    if not rows:
        raise ConfigError(f"benchmark {cfg.kind}: nothing could be measured; the lines above say why")
    after = speeds(device)
    machine = {**facts(device), "speeds": {name: max(before[name], after[name]) for name in before}}
    result = {**settings, "machine": machine, "rows": with_shares(rows, machine["speeds"])}
    print(table(result["rows"]))
    print(machine_line(machine))
    if output:
        write_json(output, result)
    if earlier:
        compare(earlier, result, tolerance=cfg.tolerance, name=cfg.compare)
    return result


def _refuse_what_cannot_work(cfg: DictConfig) -> Path | None:
    """Checks what can be checked before torch is imported; returns the file for the result."""
    from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

    from sr_lightning.config.paths import refuse_unwritable
    from sr_lightning.limits import check_value

    if cfg.kind not in KINDS:
        given = "the kind is missing" if cfg.kind is None else f"{cfg.kind}: cannot be measured"
        raise ConfigError(f"{given}; type python -m sr_lightning.benchmark and one of {', '.join(KINDS)}")
    for key in ("scale", "repeats", "steps", "batches"):
        check_value(key, cfg[key], PositiveInt)
    check_value("threads", cfg.threads, PositiveInt | None)
    check_value("tolerance", cfg.tolerance, PositiveFloat)
    for key in ("ways", "precision", "workers"):
        cfg[key] = [cfg[key]] if isinstance(cfg[key], str | int) else cfg[key]
        if not cfg[key]:
            raise ConfigError(f"{key}={cfg[key]}: must name one or more")
    cfg.networks = [cfg.networks] if isinstance(cfg.networks, str) else cfg.networks or [cfg.name]
    for count in cfg.workers:
        check_value("workers", count, NonNegativeInt)
    if cfg.compare and not expand_home(cfg.compare).is_file():
        raise ConfigError(f"compare={cfg.compare}: no such file; output=FILE.json writes one")
    if not cfg.output:
        return None
    output = expand_home(cfg.output)
    if output.exists() and not cfg.overwrite:
        raise ConfigError(f"{output}: exists already; overwrite=true replaces it, output=FILE chooses another name")
    refuse_unwritable(output.parent)
    return output


def main() -> None:
    """Entry point of ``sr-benchmark``."""
    for i, (before, arg) in enumerate(pairwise(sys.argv), 1):
        if arg == "data" and not before.startswith("-"):  # it is also the name of a key
            sys.argv[i] = "kind=data"
    run(benchmark, "benchmark", _with_quoted_file)


def _with_quoted_file(argv: list[str]) -> list[str]:
    """``compare=`` names a file here, and in ``upscale`` it does not."""
    named = [(arg, arg.removeprefix("compare=")) for arg in argv]
    return [arg if file in (arg, "null") else f"compare={literal(file)}" for arg, file in named]


if __name__ == "__main__":
    main()
