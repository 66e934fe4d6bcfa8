"""The engine that computes a network fastest on this machine: measured once, and remembered."""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch import Tensor

from sr_lightning.devices import is_gpu, synchronize
from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.agreement import max_difference, photographs, tolerance
from sr_lightning.inference.engines.engine import with_engine
from sr_lightning.inference.engines.half_precision import NEGLIGIBLE, psnr_between
from sr_lightning.inference.engines.network import Forward, Network
from sr_lightning.inference.engines.onnx_network import OnnxNetwork
from sr_lightning.inference.engines.to_onnx import silence
from sr_lightning.inference.settings import Engine, Precision
from sr_lightning.measured import measured_once, processor
from sr_lightning.models import SuperResolutionModule

#: LR pixels along a side of the tiles that engines other than torch take: they prepare themselves for each size.
TILE = 256
#: Rounds of one picture with each engine, and the seconds after which no further round begins.
ROUNDS, SECONDS = 3, 8.0
#: Another engine must take less than this part of torch's time, so that noise does not decide.
MARGIN = 0.9


def fastest_engine(
    network: Network,
    precision: Precision,
    device: torch.device,
    tile: int | None,
    halo: Callable[[], int],
    clock: Callable[[], float] = time.perf_counter,
) -> Engine:
    """The engine that enlarges large pictures fastest, of those that are installed and agree with torch.

    One line on stderr has the times. An engine that fails, or computes something else, is left out, and the log says
    why. The time that an engine takes to prepare itself is told, and does not count.

    Args:
        network: With its weights. One in an ONNX file stays with onnxruntime, and nothing is measured.
        precision: What to compute in.
        device: Where to compute.
        tile: The side of tiles that every engine takes; None for torch's strips, which need no halo, and for tiles of
            ``TILE`` by the others.
        halo: Gives the LR pixels around those tiles.
        clock: The time in seconds, from any moment on.
    """
    if isinstance(network, OnnxNetwork):
        return "onnxruntime"
    engines = engines_here(device)
    half = with_engine(network, "torch", precision, device)[1]
    key = {
        **processor(device.type),
        "engines": engines,
        "network": [type(network).__name__, str(dict(network.hparams))],
        "weights": _digest(network),
        "halo": halo() if tile is None else None,
        "precision": [precision, str(half)],
        "tiles": tile is not None,
    }

    def measure() -> dict[str, float]:
        halo_work = 1.0 if tile else ((TILE + 2 * halo()) / TILE) ** 2
        return _measured(network, precision, device, [*engines], halo_work, clock)

    numbers = measured_once(key, measure, ("torch", _first("torch")))
    seconds: dict[Engine, float] = {name: numbers[name] for name in engines if name in numbers}
    chosen = min(seconds, key=lambda name: seconds[name] * (MARGIN if name == "torch" else 1))
    names = sorted(seconds, key=lambda name: (name != chosen, seconds[name]))
    times = (f"{name} {seconds[name] * 1e3:.3g} ms (prepared in {numbers[_first(name)]:.2g} s)" for name in names)
    line = f"engine: {', '.join(times)} for {TILE}x{TILE} pixels; the first is used (engine=auto)"
    print(line, file=sys.stderr)
    return chosen


def _digest(network: SuperResolutionModule) -> str:
    """Of all weights: whether an engine agrees with torch depends on them."""
    digest = hashlib.blake2b(digest_size=8)
    for value in network.state_dict().values():
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def engines_here(device: torch.device) -> dict[Engine, str]:
    """The engines that this machine has for a device, and their versions.

    Example:
        >>> next(iter(engines_here(torch.device("cpu"))))
        'torch'
    """
    found: dict[Engine, str] = {"torch": torch.__version__}
    on_gpu = is_gpu(device)
    compilers = os.environ.get("CXX") or "g++", "clang++", "cl"
    # Triton, in which torch writes programs for GPUs, knows no Apple's.
    if (device.type != "mps" and find_spec("triton")) if on_gpu else any(map(shutil.which, compilers)):
        found["compile"] = torch.__version__
    if not on_gpu and find_spec("onnxruntime") and find_spec("onnxscript"):
        found["onnxruntime"] = version("onnxruntime")
    if not on_gpu and find_spec("openvino"):
        found["openvino"] = version("openvino")
    return found


def _measured(
    network: SuperResolutionModule,
    precision: Precision,
    device: torch.device,
    engines: list[Engine],
    halo_work: float,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Seconds that each engine takes for a picture of ``TILE`` pixels a side, and for the first one with preparation.

    Engines take turns, so that other work on the machine slows all of them.

    Args:
        network: With its weights.
        precision: What to compute in.
        device: Where to compute.
        engines: torch first.
        halo_work: How many times the pixels of a tile those with its halo are, which torch does without.
        clock: The time in seconds.
    """
    print(f"engine: {', '.join(engines)} are measured once on this machine ...", file=sys.stderr)
    picture = [x.repeat(1, 1, 2, 2) if x.ndim == 4 else x for x in _photographs(network, device, TILE // 2)]
    forms: dict[Engine, Forward] = {}
    first: dict[str, float] = {}
    for name in engines:
        begin = clock()
        try:
            with silence():
                form = _prepared(network, name, precision, device)
                _check_agreement(network, form, forms.get("torch"), device)
                _compute(form, picture, device)
        except Exception as error:  # exporters and compilers raise whatever they trip over
            if name == "torch":
                raise
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            print(f"engine=auto without {name}: {reason}", file=sys.stderr)
            continue
        forms[name], first[_first(name)] = form, clock() - begin
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    begin = clock()
    for i in range(ROUNDS):
        if i and clock() - begin > SECONDS:
            break
        for name, form in forms.items():
            start = clock()
            _compute(form, picture, device)
            seconds[name].append((clock() - start) * (1 if name == "torch" else halo_work))
    return {**{name: min(times) for name, times in seconds.items()}, **first}


def _prepared(network: SuperResolutionModule, engine: Engine, precision: Precision, device: torch.device) -> Forward:
    """The network as an engine computes it, half precision included."""
    net, half = with_engine(network, engine, precision, device)

    def form(*inputs: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, half, enabled=half is not None):
            return net(*inputs).float()  # type: ignore[no-any-return]

    return form


def _check_agreement(
    network: SuperResolutionModule, form: Forward, torch_form: Forward | None, device: torch.device
) -> None:
    """Refuses a form that is farther from the network in float32 than torch's own form, and that shows.

    Raises:
        ConfigError: If it is.
    """
    if torch_form is None:
        return
    inputs = _photographs(network, device)
    if max_difference(network.net, form, inputs) <= tolerance(network.net, inputs):
        return
    least = min(NEGLIGIBLE, psnr_between(network.net, torch_form, inputs) - 1.0)
    if not (psnr := psnr_between(network.net, form, inputs)) >= least:
        raise ConfigError(f"it computes something else ({psnr:.1f} dB from torch)")


def _photographs(network: SuperResolutionModule, device: torch.device, side: int = 48) -> list[Tensor]:
    return photographs(network, height=side, width=side, device=device)


def _compute(form: Forward, inputs: list[Tensor], device: torch.device) -> None:
    form(*inputs)
    synchronize(device)


def _first(engine: str) -> str:
    """The name of the number that tells how long an engine prepared itself."""
    return f"{engine} first"
