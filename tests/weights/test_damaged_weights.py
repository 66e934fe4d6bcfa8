"""Damaged files of weights: one sentence, or the weights as they were; never a traceback, never something else."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from damaged_weights import KEY, network, outcomes
from sr_lightning.errors import CheckpointError, SRError
from sr_lightning.models.edsr import EDSR
from sr_lightning.weights.initialise import initialise
from sr_lightning.weights.load import load_model, load_weights
from sr_lightning.weights.portable import read_card, write_safetensors
from sr_lightning.weights.shipped import pretrained_networks, weights_file


@pytest.mark.filterwarnings("ignore")
def test_damage_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for number, path, outcome, error in outcomes(150, tmp_path):
        where = f"file {number}, {path.name}"
        assert outcome != "traceback", f"{where}: {error!r}"
        if outcome == "refused":
            assert isinstance(error, SRError) and len(str(error)) < 600 and "\n" not in str(error), where
        if path.name.startswith("bent"):
            assert outcome in ("refused", "unchanged"), where


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_no_flipped_bit_of_a_weight_is_loaded(ending: str, tmp_path: Path) -> None:
    path, flipped = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    write(network(), path)
    data = path.read_bytes()
    weight = network().state_dict()["net.head.weight"].numpy().tobytes()
    at = data.index(weight) + 1
    flipped.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    loads: list[Any] = [load_model, lambda p: load_weights(network(), p)]
    if ending == "ckpt":
        loads += [lambda p: load_weights(network(), p), lambda p: initialise(network(), p), EDSR.load_from_checkpoint]
    for load in loads:
        load(path)
        with pytest.raises(CheckpointError, match="is not what was written"):
            load(flipped)


def test_a_card_is_part_of_the_checksum(tmp_path: Path) -> None:
    write_safetensors(network(), tmp_path / "a.safetensors", {"data": "set5"})
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data.replace(b"set5", b"set7"))
    with pytest.raises(CheckpointError, match="its SHA-256 differs"):
        load_model(tmp_path / "a.safetensors")


def test_networks_of_the_package_have_checksums() -> None:
    files = [weights_file(name, scale) for name, scales in pretrained_networks().items() for scale in scales]
    assert files and all(len(read_card(file)["sha256"]) == 64 for file in files)


def test_archives_without_checksums_are_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        write(network(), tmp_path / "a.ckpt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert zipfile.ZipFile(tmp_path / "a.ckpt").testzip()
    load_model(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.index_fill(0, torch.tensor(1), float("nan")), "net.head.weight holds NaN or infinity"),
        (lambda x: x / 0, "net.head.weight holds NaN or infinity"),
        (lambda x: x.double() * 1e300, "net.head.weight holds NaN or infinity"),
        (lambda x: x.to(torch.int64), "net.head.weight is int64, and the network has float32 there"),
        (lambda x: x.to(torch.complex64), "net.head.weight is complex64"),
        (lambda x: x.to_sparse(), "net.head.weight is no plain tensor"),
    ],
)
def test_what_is_no_number_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    path, model = tmp_path / "a.ckpt", network(1)
    state = dict(model.state_dict())
    write(network(), path, {**state, "net.head.weight": change(state["net.head.weight"])})
    for load in (load_weights, initialise):
        with pytest.raises(CheckpointError, match=message):
            load(model, path)
    with pytest.raises(CheckpointError, match=message):
        load_model(path)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read(kind: torch.dtype, tmp_path: Path) -> None:
    state = {name: value.to(kind) for name, value in network().state_dict().items()}
    write(network(), tmp_path / "a.ckpt", state)
    assert load_model(tmp_path / "a.ckpt").state_dict()["net.head.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "2"}, "scale: input should be a valid integer"),
        ({"scale": True}, "scale: input should be a valid integer"),
        ({"scale": 65}, "scale: input should be less than or equal to 64"),
        ({"num_features": 10**6}, "num_features: more than 65536"),
        ({"num_blocks": 50_000}, "far more layers than the file has weights for"),
        ({"num_features": 60_000}, "tensors differ"),
        ({"attention": ["none"]}, "attention: input should be a valid string"),
        ({"res_scale": float("nan")}, "res_scale: input should be a finite number"),
        ({"input": "cmyk"}, "input: input should be 'rgb' or 'raw'"),
        ({"loss": "mse"}, "loss: extra inputs are not permitted"),
        ({1: 2}, "1: "),
        ([], "input should be a valid dictionary"),
    ],
)
def test_arguments_are_checked_before_anything_is_made(arguments: Any, message: str, tmp_path: Path) -> None:
    model = network()
    if isinstance(arguments, dict):
        arguments = {**dict(model.hparams), **arguments}
    write(model, tmp_path / "a.ckpt", arguments=arguments)
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path / "a.ckpt")


def test_a_card_that_has_no_end(tmp_path: Path) -> None:
    save_file({"net.x": torch.zeros(1)}, tmp_path / "a.safetensors", {KEY: "[" * 100_000})
    with pytest.raises(CheckpointError, match=r"the description of its network .* is damaged"):
        read_card(tmp_path / "a.safetensors")


def write(model: EDSR, path: Path, state: Any = None, arguments: Any = None) -> None:
    if path.suffix == ".safetensors":
        return write_safetensors(model, path)
    arguments = dict(model.hparams) if arguments is None else arguments
    checkpoint = {"state_dict": state or model.state_dict(), "hyper_parameters": arguments}
    model.on_save_checkpoint(checkpoint)
    checkpoint |= {"pytorch-lightning_version": "2.6.0"}
    return torch.save(checkpoint, path)
