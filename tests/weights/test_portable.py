"""Files of weights that say which network they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.errors import CheckpointError
from sr_lightning.models.drcn import DRCN
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.espcn import ESPCN
from sr_lightning.models.srresnet import SRResNet
from sr_lightning.weights.checkpoints import check_checkpoint, read_checkpoint
from sr_lightning.weights.initialise import initialise
from sr_lightning.weights.load import load_model, load_weights
from sr_lightning.weights.portable import load_safetensors, read_card, write_safetensors
from sr_lightning.weights.shipped import load_pretrained


def test_a_network_comes_back(tmp_path: Path) -> None:
    model = EDSR(scale=3, num_features=8, num_blocks=2, attention="channel").eval()
    write_safetensors(model, tmp_path / "a.safetensors", {"data": "a set", "seed": 4})
    card = read_card(tmp_path / "a.safetensors")
    assert (card["network"], card["scale"], card["colour"], card["data"]) == ("EDSR", 3, "rgb", "a set")
    again = load_safetensors(tmp_path / "a.safetensors")
    lr = torch.rand(1, 3, 9, 7)
    assert not again.training and torch.equal(again(lr), model(lr))


def test_shared_weights(tmp_path: Path) -> None:
    model = DRCN(scale=2, num_features=4, num_recursions=2).eval()
    write_safetensors(model, tmp_path / "a.safetensors")
    lr = torch.rand(1, 1, 9, 7)
    assert torch.equal(load_safetensors(tmp_path / "a.safetensors")(lr), model(lr))


@pytest.mark.parametrize("name", sorted({path.stem for path in (CONF_DIR / "model").glob("*.yaml")} - {"auto"}))
def test_all_that_a_network_is_made_of_is_plain(name: str) -> None:
    with torch.device("meta"):
        model = build(compose("train", [f"model={name}"]).model)
    assert json.loads(json.dumps(dict(model.hparams))).keys() == model.hparams.keys()
    outside = {key.partition(".")[0] for key in model.state_dict()} - {"net", "loss", "discriminator"}
    assert not outside


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "does not say which network it is"),
        ({"class": "os.system", "arguments": {}}, "written by os.system; say which network it is with model="),
        ({"class": "sr_lightning.models.edsr.os", "arguments": {}}, "written by sr_lightning.models.edsr.os"),
        ({"class": "sr_lightning.models.base.import_module", "arguments": {}}, "written by"),
        ({"class": "sr_lightning.models.edsr.EDSR", "arguments": {"depth": 3}}, "does not fit EDSR of this version"),
        ({"class": "sr_lightning.models.edsr.EDSR", "arguments": {"num_features": 8}}, "does not fit EDSR: "),
    ],
)
def test_files_of_others(card: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"net.x": torch.zeros(1)}, path, None if card is None else {"sr_lightning": json.dumps(card)})
    with pytest.raises(CheckpointError, match=message):
        load_safetensors(path)


def test_damaged_and_missing(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged, or no safetensors"):
        read_card(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no such file of weights"):
        read_card(tmp_path / "b.safetensors")


def test_paths_may_be_text(tmp_path: Path) -> None:
    model = load_pretrained("espcn", 2)
    file = str(tmp_path / "a.safetensors")
    write_safetensors(model, file)
    assert read_card(file)["network"] == "ESPCN"
    assert load_safetensors(file).scale == 2
    checkpoint = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    torch.save(checkpoint, tmp_path / "a.ckpt")
    for use in (load_weights, initialise, load_weights):
        use(model, str(tmp_path / "a.ckpt"))
    assert read_checkpoint(str(tmp_path / "a.ckpt")).keys() == check_checkpoint(str(tmp_path / "a.ckpt"), model).keys()


def test_training_begins_with_an_exported_file(tmp_path: Path) -> None:
    """At another scale, the layers of one scale stay new."""
    source, other = ESPCN(scale=2), ESPCN(scale=3)
    write_safetensors(source, tmp_path / "a.safetensors")
    before = other.state_dict()
    initialise(other, tmp_path / "a.safetensors")
    ours, theirs = other.state_dict(), source.state_dict()
    same = {name for name in ours if ours[name].shape == theirs[name].shape and torch.equal(ours[name], theirs[name])}
    assert same and all(torch.equal(ours[name], before[name]) for name in ours.keys() - same)


def test_files_of_earlier_releases_have_the_defaults_of_then(tmp_path: Path) -> None:
    then = SRResNet(scale=2, num_features=4, num_blocks=1, bias="all", upsampler_activation=True)
    for name in ("bias", "upsampler_activation"):
        del then.hparams[name]
    write_safetensors(then, tmp_path / "a.safetensors")
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(load_model(tmp_path / "a.safetensors")(lr), then.eval()(lr))


def test_training_does_not_begin_with_another_network(tmp_path: Path) -> None:
    write_safetensors(EDSR(scale=2, num_features=4, num_blocks=1), tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="it is of EDSR, which is not SRResNet"):
        initialise(SRResNet(scale=2, num_features=4, num_blocks=1), tmp_path / "a.safetensors")
    other = EDSR(scale=2, num_features=4, num_blocks=1, value_range=1.0)
    with pytest.warns(UserWarning, match="trained with value_range=255.0, but this network has value_range=1.0"):
        initialise(other, tmp_path / "a.safetensors")
    with pytest.warns(UserWarning, match="trained with value_range=255.0, but this network has value_range=1.0"):
        load_weights(other, tmp_path / "a.safetensors")
