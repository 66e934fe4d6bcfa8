"""Weights of another kind are told by what they make of a photograph."""

import re
import warnings
from pathlib import Path

import pytest
import torch

from sr_lightning.config import compose
from sr_lightning.errors import CheckpointError
from sr_lightning.inference.loading import load, load_network
from sr_lightning.inference.sanity import check_on_a_photograph
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.fsrcnn import FSRCNN
from sr_lightning.models.rawsr import RawSR
from sr_lightning.models.span import SPAN
from sr_lightning.weights.portable import write_safetensors
from sr_lightning.weights.shipped import PHOTO, load_pretrained, pretrained_networks, weights_file


@pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name, scales in pretrained_networks().items() for scale in scales]
)
def test_networks_of_the_package_pass(name: str, scale: int) -> None:
    """That for damaged photographs changes what it is given, so it would not pass for a foreign one of its scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_on_a_photograph(load_pretrained(name, scale), "a.pth", "file" if name == PHOTO else "foreign")


def test_another_value_range_is_told() -> None:
    right = load_pretrained("span", 2)
    arguments = dict(right.hparams)
    other = SPAN(**{**arguments, "value_range": 255 if arguments["value_range"] == 1 else 1})
    state = {name: value for name, value in right.state_dict().items() if name in other.state_dict()}
    other.load_state_dict({**other.state_dict(), **state})
    advice = f"try model.value_range={arguments['value_range']:g}, unless"
    with pytest.warns(UserWarning, match=rf"a\.pth: this network can be loaded, but .* dB below bicubic.*{advice}"):
        check_on_a_photograph(other, "a.pth", "config")


@pytest.mark.filterwarnings("ignore:.*trained with res_scale")
def test_it_is_looked_at_wherever_weights_are_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    write_safetensors(EDSR(scale=2, num_features=8, num_blocks=1), path)
    model = ["model=edsr", "model.num_features=8", "model.num_blocks=1"]
    with pytest.warns(UserWarning, match=r"net\.safetensors: .*try model\.value_range=1, unless"):
        load_network(compose("upscale", [f"weights={path}", *model]))
    for load_it in (lambda: load_network(compose("upscale", [f"checkpoint={path}"])), lambda: load(path)):
        with pytest.warns(UserWarning, match=r"net\.safetensors: .*; it was hardly trained, or for other ends"):
            load_it()  # the file itself says its range and scale: there is no key to try


def test_what_is_trained_on_and_what_reads_mosaics_is_not_looked_at(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_on_a_photograph(RawSR(scale=2, num_features=4, growth_rate=4, num_layers=1), "a.pth")
        load_network(compose("upscale", ["model=bicubic"]))
        load(weights_file("fsrcnn", 2))


def test_networks_that_give_no_numbers_are_refused() -> None:
    model = FSRCNN(scale=2)
    for p in model.parameters():
        p.data.fill_(1e30)
    with pytest.raises(CheckpointError, match=r"a\.pth: the network gives no numbers, but NaN or infinity"):
        check_on_a_photograph(model, "a.pth")


@pytest.mark.parametrize(
    ("overrides", "file", "message"),
    [
        (["model=pan", "scale=2"], "PAN_x3.pth", "45 dB of what it was given.*try scale=3 or scale=4"),
        (["model=pan", "scale=3"], "PAN_x2.pth", "48 dB of what it was given.*try scale=2 or scale=4"),
        (["model=rfdn", "scale=4", "model.value_range=1"], "RFDN_AIM_x4.pth", "3 dB below.*try model.value_range=255"),
        (["model=pan", "scale=2"], "PAN_x2.pth", None),
        (["model=imdn", "scale=3"], "IMDN_x3.pth", None),
    ],
)
def test_published_weights(overrides: list[str], file: str, message: str | None, real_data: Path) -> None:
    cfg = compose("upscale", [*overrides, f"weights={real_data / 'weights' / file}"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        load_network(cfg)
    found = [str(warning.message) for warning in told if file in str(warning.message)]
    assert not found if message is None else re.search(message, found[0])
