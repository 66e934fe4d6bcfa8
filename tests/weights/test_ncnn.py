"""ncnn's files, made here as its programs write them; damaged ones give one sentence."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ncnn_files import write_ncnn
from sr_lightning.errors import CheckpointError
from sr_lightning.models import RRDB, Compact, SuperResolutionModule
from sr_lightning.weights.ncnn import read_ncnn


def compact() -> SuperResolutionModule:
    torch.manual_seed(0)
    return Compact(scale=2, num_features=5, num_convs=2)  # an odd number of weights is padded


def rrdb() -> SuperResolutionModule:
    torch.manual_seed(0)
    return RRDB(scale=4, num_features=6, growth_rate=4, num_blocks=2)


@pytest.mark.parametrize("make", [compact, rrdb])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("ending", [".param", ".bin"])
def test_every_number_finds_its_place(make: Any, half: bool, ending: str, tmp_path: Path) -> None:
    model = make()
    write_ncnn(model, tmp_path / "net.param", half=half)
    state = model.published_state(read_ncnn(tmp_path / f"net{ending}"))
    assert state.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        rounded = value.half().float() if half and value.ndim == 4 else value
        assert torch.equal(state[name], rounded), name


def test_a_network_for_another_size_of_step(tmp_path: Path) -> None:
    model = RRDB(scale=2, num_features=6, growth_rate=4, num_blocks=1)
    write_ncnn(model, tmp_path / "net.param")
    assert "conv_up2.weight" not in read_ncnn(tmp_path / "net.param")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7767517", "7767518", r"net\.param: no ncnn network as text"),
        ("7767517\n", "7767517\n9", r"net\.param: damaged or cut short: has \d+ layers and says 9\d+"),
        ("0=5 ", "0=x ", r"net\.param: damaged: there is a layer 'Convolution "),
        ("0=5 ", "0=-5 ", r"net\.param: damaged: the layer \w+ has negative sizes"),
        ("0=5 ", "0=7 ", r"net\.param: has other convolutions than RRDB or Compact"),
        ("1=3 ", "1=5 ", r"net\.param: has other convolutions than RRDB or Compact"),
        ("PReLU ", "Sigmoid ", r"net\.param: has a layer Sigmoid; only RRDB or Compact"),
        ("6=135", "6=135000000", r"net\.bin: cut short, or of another \.param file: lacks numbers of"),
    ],
)
def test_damaged_descriptions(old: str, new: str, message: str, tmp_path: Path) -> None:
    write_ncnn(compact(), tmp_path / "net.param")
    changed(tmp_path / "net.param", old, new)
    with pytest.raises(CheckpointError, match=message):
        read_ncnn(tmp_path / "net.bin")


def test_damaged_numbers(tmp_path: Path) -> None:
    write_ncnn(compact(), tmp_path / "net.param")
    whole = (tmp_path / "net.bin").read_bytes()
    for length in (0, 3, 4, 100, len(whole) - 1):
        (tmp_path / "net.bin").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"net\.bin: cut short, or of another \.param file: lacks numbers of"):
            read_ncnn(tmp_path / "net.param")
    (tmp_path / "net.bin").write_bytes(whole + b"\0\0\0\0")
    with pytest.raises(CheckpointError, match=r"net\.bin: of another \.param file, or damaged: 4 bytes are left over"):
        read_ncnn(tmp_path / "net.param")
    (tmp_path / "net.bin").write_bytes(struct.pack("<I", 0x000D4B38) + whole[4:])
    with pytest.raises(CheckpointError, match=r"net\.bin: damaged, or quantized: \w+ is in format 0xd4b38"):
        read_ncnn(tmp_path / "net.param")


def test_every_cut_of_a_description_is_refused(tmp_path: Path) -> None:
    write_ncnn(compact(), tmp_path / "net.param")
    whole = (tmp_path / "net.param").read_bytes().rstrip().rpartition(b"\n")[0]  # of the last layer nothing is read
    for length in range(0, len(whole), 7):
        (tmp_path / "net.param").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"net\.\w+: \S"):
            read_ncnn(tmp_path / "net.param")


def test_damaged_bytes_give_no_other_error(tmp_path: Path) -> None:
    write_ncnn(rrdb(), tmp_path / "net.param")
    whole = bytearray((tmp_path / "net.param").read_bytes())
    generator = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] = generator.integers(256)
        (tmp_path / "net.param").write_bytes(damaged)
        with suppress(CheckpointError):  # names of layers and blobs may be anything
            read_ncnn(tmp_path / "net.param")


def test_a_file_alone(tmp_path: Path) -> None:
    write_ncnn(compact(), tmp_path / "net.param")
    (tmp_path / "net.bin").unlink()
    with pytest.raises(
        CheckpointError, match=r"net\.bin: no such file, which belongs to net\.param, of an ncnn network"
    ):
        read_ncnn(tmp_path / "net.param")


def test_an_rrdb_without_a_block(tmp_path: Path) -> None:
    """Ten dense convolutions are two thirds of a block."""
    model = RRDB(scale=4, num_features=6, growth_rate=4, num_blocks=1)
    model.net.body[0].body = model.net.body[0].body[:2]
    write_ncnn(model, tmp_path / "net.param")
    with pytest.raises(CheckpointError, match=r"net\.param: 16 convolutions, which are not RRDB or Compact"):
        read_ncnn(tmp_path / "net.param")
