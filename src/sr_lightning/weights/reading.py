"""One reader for all files of weights: told apart by their content, read without running any code in them."""

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError
from sr_lightning.models.layouts import State
from sr_lightning.tensor_files import checksum, is_torch_file, read_torch
from sr_lightning.weights.card import check_entries, parsed_card, read_tensors

#: Entries that files keep the weights under, the preferred first: averaged weights are what papers report.
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "net", "netG", "model", "generator", "sd")

#: More tensors than any network has, and the length of the longest name of a layer.
MOST, LONGEST = 20_000, 300
#: How much larger than its file an archive of weights may be.
LARGEST_RATIO = 50

_TEXT = bytes(range(32, 127)) + b"\t\r\n"

#: Kinds of numbers that weights and counts are kept in.
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32}

#: Prefixes of every name, left by parallel training or by a module around the network.
PREFIXES = ("module.", "model.", "net.", "netG.", "generator.")


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightsFile:
    """What a file of weights holds.

    Args:
        path: The file.
        kind: Its format, in messages.
        state: The weights by name, without wrappers, and without what stands before all names.
        inside: The wrappers that they were under, such as ``params_ema``.
        written_by: The class of this library that the file names, if it is one of ours.
        arguments: Those of its constructor.
        note: Other facts that the file states.
    """

    path: Path
    kind: str
    state: State
    inside: tuple[str, ...] = ()
    written_by: str | None = None
    arguments: Mapping[str, Any] | None = None
    note: Mapping[str, Any] | None = None

    @cached_property
    def checksum(self) -> str:
        """Of the tensors: 16 digits that are the same in every format."""
        return checksum("", self.state)[:16]

    @property
    def is_ours(self) -> bool:
        """Whether this library wrote it."""
        return self.written_by is not None


def read_weights(path: str | Path) -> WeightsFile:
    """The weights in a file of any format, of this library or another.

    Formats: what ``torch.save`` wrote (``.pth``, ``.pt``, ``.ckpt``, ``.bin``), ``.safetensors``, MatConvNet's
    ``.mat``, NumPy's ``.npz``, and ncnn's ``.param`` with ``.bin``. The ending matters for the last alone.

    Raises:
        CheckpointError: If the file is missing or damaged, holds code, or is something else; the message says what.
    """
    path = Path(path)
    refuse_folder(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file of weights")
    try:
        return _reader(path)(path)
    except CheckpointError:
        raise
    except ImportError as error:
        raise CheckpointError(f"{path}: reading it takes the package {error.name}; pip install {error.name}") from None
    except Exception as error:  # the readers raise almost any class where a file is damaged
        foreign = re.search(r"GLOBAL\s+([\w.]+)", str(error))
        if foreign:
            raise CheckpointError(
                f"{path}: holds a pickled {foreign[1]}, which only runs as code, and was not loaded; "
                "ask for its state_dict(), which is plain weights"
            ) from None
        # torch's own messages advise to load the file without these precautions.
        reason = " ".join(str(error).split())
        reason = type(error).__name__ if "weights_only" in reason or not reason else reason[:100]
        what = "damaged or cut short" if is_torch_file(path) else "damaged, or no file of weights"
        raise CheckpointError(f"{path}: {what} ({reason})") from None


def refuse_what_holds_no_weights(path: Path) -> bytes:
    """The first bytes of a file that may hold weights.

    Raises:
        CheckpointError: If it is empty, a pointer, a page, a picture or the like; the message says what to do.
    """
    with path.open("rb") as file:
        start = file.read(512)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise CheckpointError(f"{path}: is empty; copy or download it again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path}: is a pointer of Git LFS, not the file; git lfs pull brings it, or download it from its page"
        )
    if text.startswith((b"<!", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(f"{path}: is a web page, not a file of weights; download the file that the page links to")
    if start.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or start[8:12] == b"WEBP":
        raise CheckpointError(f"{path}: is a picture, not a file of weights")
    if start.startswith(b"MATLAB 7.3"):
        raise CheckpointError(f"{path}: is of MATLAB 7.3, which is not read; save it in MATLAB with the option -v7")
    if path.suffix.lower() != ".param" and all(byte in _TEXT for byte in start):
        raise CheckpointError(f"{path}: is a text file, not a file of weights")
    if path.suffix.lower() in (".pb", ".h5", ".keras", ".tflite"):
        raise CheckpointError(f"{path}: a file of TensorFlow, which is not read; convert it to .npz or .safetensors")
    return start


def _reader(path: Path) -> Callable[[Path], WeightsFile]:
    """What reads a file, by its first bytes.

    Raises:
        CheckpointError: If it is something that holds no weights.
    """
    start = refuse_what_holds_no_weights(path)
    if path.suffix.lower() == ".param" or (path.suffix.lower() == ".bin" and path.with_suffix(".param").is_file()):
        return _read_ncnn
    if path.suffix.lower() == ".mat" or start.startswith(b"MATLAB"):
        return _read_matconvnet
    if len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**27:
        return _read_safetensors
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            total = sum(entry.file_size for entry in archive.infolist())
        if any("/code/" in name or "archive_format" in name for name in names):
            kind = "a TorchScript" if any("/code/" in name for name in names) else "an exported"
            raise CheckpointError(
                f"{path}: is {kind} program, not weights, and was not loaded; "
                "ask for the .pth or .safetensors that it was made from"
            )
        if total > LARGEST_RATIO * path.stat().st_size + 2**20:
            raise CheckpointError(f"{path}: would become {total:,} bytes, which no weights do; it is damaged or a trap")
        if names and all(name.endswith(".npy") for name in names):
            return _read_npz
    elif path.suffix.lower() == ".onnx":
        raise CheckpointError(f"{path}: an ONNX file is a program with its weights; only upscale and demo run it")
    elif path.suffix.lower() == ".safetensors":
        return _read_safetensors
    return _read_torch


def _read_torch(path: Path) -> WeightsFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about formats that are refused anyway
        content = read_torch(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a dictionary of weights")
    note = content.get("sr_lightning")
    if "state_dict" in content and note is not None:
        check_entries(content, path)
        arguments = content.get("hyper_parameters", {})
        facts = {name: content[name] for name in ("epoch", "global_step") if name in content}
        return WeightsFile(
            path=path, kind="checkpoint", state=dict(content["state_dict"]), inside=("state_dict",),
            written_by=note.get("model", ""), arguments=arguments, note={**facts, "version": note.get("version", "")},
        )  # fmt: skip
    inside: list[str] = []
    while len(inside) < len(WRAPPERS) and (
        inner := next((key for key in WRAPPERS if isinstance(content.get(key), Mapping) and content[key]), None)
    ):
        content = content[inner]
        inside.append(inner)
    return _foreign(path, "torch", content, tuple(inside))


def _foreign(path: Path, kind: str, content: Mapping[str, Any], inside: tuple[str, ...] = ()) -> WeightsFile:
    """Weights of another project, or of nobody who says so."""
    if not content or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        named = [shown(name) for name in list(content)[:6]]
        more = f" and {len(content) - 6} more" if len(content) > 6 else ""
        raise CheckpointError(
            f"{path}: holds no dictionary of weights; its entries are {', '.join(named) or 'none'}{more}"
        )
    if len(content) > MOST:
        raise CheckpointError(f"{path}: holds {len(content)} tensors, more than any network for pictures")
    for name, value in content.items():
        if not name.isprintable() or len(name) > LONGEST:
            raise CheckpointError(f"{path}: {shown(name)}: is no name of a layer; the file is damaged, or no weights")
        _check_plain(path, name, value)
    state = {_by_old_name(name): value for name, value in content.items()}
    # "model.0" is a name, not a prefix: the layers of ESRGAN's first files are all called so.
    while prefix := next((p for p in PREFIXES if all(re.match(re.escape(p) + r"\D", name) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return WeightsFile(path=path, kind=kind, state=state, inside=inside)


def _check_plain(path: Path, name: str, value: Tensor) -> None:
    """Refuses tensors that are no numbers in memory, or repeat a few of them."""
    plain = value.layout == torch.strided and value.device.type != "meta" and not value.is_quantized
    if not plain or value.dtype.itemsize * value.numel() > value.untyped_storage().nbytes():
        raise CheckpointError(f"{path}: {name}: is no plain tensor; save it dense, on the CPU, and not quantized")
    if value.dtype not in _DTYPES:
        kind = str(value.dtype).removeprefix("torch.")
        raise CheckpointError(f"{path}: {name}: is of {kind}, which no weights are; save it as float32")


def shown(name: Any) -> str:
    """A name in a message: short, and without what a terminal would obey.

    Example:
        >>> shown("a" * 99)[-5:], len(shown(chr(27) + "[31m"))
        ('aa...', 8)
    """
    text = str(name)
    text = text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode()
    return text if len(text) <= 80 else text[:77] + "..."


def _by_old_name(name: str) -> str:
    """Normalised weights by the names that torch gave before 2.0, which most files have."""
    return re.sub(r"\bparametrizations\.weight\.original([01])$", lambda m: f"weight_{'gv'[int(m[1])]}", name)


def _read_safetensors(path: Path) -> WeightsFile:
    state, text = read_tensors(path)
    if text is None:
        return _foreign(path, "safetensors", state)
    card = parsed_card(text, path)
    return WeightsFile(
        path=path, kind="safetensors", state=state, written_by=str(card.get("class", "")),
        arguments=card.get("arguments", {}), note={"version": card.get("version", "")},
    )  # fmt: skip


def _read_matconvnet(path: Path) -> WeightsFile:
    """Parameters of a DagNN by name, in MatConvNet's own order of axes: filters are ``(H, W, in, out)``."""
    from scipy.io import loadmat

    net = loadmat(path, variable_names=["net"]).get("net")
    fields = net.dtype.names or () if net is not None else ()
    if net is None or net.size != 1 or "params" not in fields:
        raise CheckpointError(f"{path}: holds no MatConvNet network (a struct net with params)")
    params = net["params"].item().ravel()
    content = {str(param["name"].item()): torch.from_numpy(param["value"].copy()) for param in params}
    return _foreign(path, "MatConvNet", content)


def _read_npz(path: Path) -> WeightsFile:
    with np.load(path, allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays}
    native = {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in content.items()}
    return _foreign(path, "npz", {name: torch.from_numpy(array) for name, array in native.items()})


def _read_ncnn(path: Path) -> WeightsFile:
    from sr_lightning.weights.ncnn import read_ncnn

    return _foreign(path, "ncnn", read_ncnn(path))
