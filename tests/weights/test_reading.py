"""One reader for all files of weights: formats told apart by content, and what is no weights named as such."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sr_lightning.errors import CheckpointError
from sr_lightning.models import EDSR
from sr_lightning.weights.load import load_model
from sr_lightning.weights.reading import read_weights


def network() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=4, num_blocks=1)


def published(model: EDSR) -> dict[str, torch.Tensor]:
    """As EDSR-PyTorch names them."""
    state = {name.removeprefix("net."): value for name, value in model.state_dict().items()}
    return {name.replace("head.", "head.0.") if name.startswith("head") else name: v for name, v in state.items()}


def write_torch(state: Any, path: Path) -> None:
    torch.save(state, path)


def write_npz(state: Any, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **{name: value.numpy() for name, value in state.items()})


@pytest.mark.parametrize(
    ("write", "ending", "kind"),
    [
        (write_torch, "pth", "torch"), (write_torch, "bin", "torch"), (write_torch, "weights", "torch"),
        (save_file, "safetensors", "safetensors"), (save_file, "pth", "safetensors"), (write_npz, "npz", "npz"),
        (write_npz, "pth", "npz"),
    ],
)  # fmt: skip
def test_the_content_tells_the_format(write: Any, ending: str, kind: str, tmp_path: Path) -> None:
    model, path = network(), tmp_path / f"net.{ending}"
    write(published(model), path)
    assert read_weights(path).kind == kind
    again = load_model(path)
    assert isinstance(again, EDSR) and not again.training
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("entry", ["params_ema", "params", "state_dict", "generator"])
@pytest.mark.parametrize("prefix", ["", "module.", "net.module."])
def test_wrappers_and_prefixes(entry: str, prefix: str, tmp_path: Path) -> None:
    model = network()
    torch.save({entry: {prefix + name: value for name, value in published(model).items()}}, tmp_path / "a.pth")
    file = read_weights(tmp_path / "a.pth")
    assert file.inside == (entry,) and "head.0.weight" in file.state
    assert isinstance(load_model(tmp_path / "a.pth"), EDSR)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.pth", "a.pth: is empty; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "a.pth", "a pointer of Git LFS"),
        (
            b"\n <!DOCTYPE html><html><body>Sign in</body></html>",
            "a.safetensors",
            "is a web page, not a file of weights",
        ),
        (b"<html>", "a.pth", "is a web page"),
        (b"no weights at all", "a.pth", "is a text file, not a file of weights"),
        (b"\x00\x01no weights", "a.pth", "damaged, or no file of weights"),
        (b"\x89PNG\r\n\x1a\n", "a.pth", "is a picture, not a file of weights"),
        (b"MATLAB 7.3 MAT-file\0", "a.mat", "is of MATLAB 7.3, which is not read"),
        (b"\x08\x07", "a.pb", "a file of TensorFlow, which is not read"),
        (b"\x08\x07", "a.onnx", "an ONNX file is a program with its weights"),
        (b"\x10\0\0\0\0\0\0\0{", "a.safetensors", "damaged, or no safetensors"),
    ],
)
def test_what_holds_no_weights(content: bytes, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_weights(tmp_path / name)


def test_programs_are_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Conv2d(3, 3, 3)).save(str(tmp_path / "a.pth"))  # type: ignore[no-untyped-call]
    with pytest.raises(CheckpointError, match=r"a.pth: is a TorchScript program, not weights, and was not loaded"):
        read_weights(tmp_path / "a.pth")


def test_a_dictionary_within_itself_is_no_end(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a.pth: holds no dictionary of weights; its entries are model"):
        read_weights(tmp_path / "a.pth")


def test_what_begins_as_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"PK\x05\x06" + b"\xff" * 18)
    with pytest.raises(CheckpointError, match=r"a.pth: damaged or cut short"):
        read_weights(tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2**26))
    with pytest.raises(CheckpointError, match=r"b.npz: would become 67,108,864 bytes"):
        read_weights(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "value", [torch.zeros(2, 2).to_sparse(), torch.zeros(2, 2, device="meta"), torch.zeros(1).expand(9, 9)]
)
def test_tensors_that_are_no_numbers_in_memory(value: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"a.weight": value}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a.pth: (a.weight: is no plain tensor|damaged)"):
        read_weights(tmp_path / "a.pth")


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.savez(file, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(CheckpointError, match=r"a.npz: damaged or cut short \(Object arrays"):
        read_weights(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("a.npy", b"no array")
    with pytest.raises(CheckpointError, match=r"b.npz: damaged"):
        read_weights(tmp_path / "b.npz")


def test_an_unknown_network_is_told_by_its_tensors(tmp_path: Path) -> None:
    torch.save({"alpha.weight": torch.zeros(3), "beta": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"holds 2 tensors \(alpha.weight, beta ...\) of no network that is"):
        load_model(tmp_path / "a.pth")
