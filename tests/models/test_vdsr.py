"""VDSR: published weights, other scales with the same weights, and a skip that keeps its precision."""

from pathlib import Path

import pytest
import torch

from reading import load
from sr_lightning.blocks import DIV2K_MEAN
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.functional import imresize
from sr_lightning.metrics import Protocol
from sr_lightning.models import VDSR
from sr_lightning.weights.load import load_model, load_weights

#: How the published table of these weights was made: luma throughout, nothing rounded.
LUMA = Protocol("luma", metrics=("psnr",), lr="y", quantize=False, grey="direct")


def test_biases_are_counted() -> None:
    with torch.device("meta"):
        assert count_parameters(VDSR(bias=True)) == 665_921


def test_bf16_leaves_the_enlarged_picture_alone() -> None:
    model, lr = VDSR(num_features=8, num_layers=3), torch.rand(1, 1, 9, 11)
    torch.nn.init.zeros_(model.net.net.body[-1].weight)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for scale in (2, 3, 4):
            assert torch.equal(model(lr, scale=scale), imresize(lr, scale))


def test_rgb_network() -> None:
    assert VDSR(channels=3, num_features=8, num_layers=3)(torch.rand(1, 3, 8, 8), scale=3).shape == (1, 3, 24, 24)


def test_a_network_of_one_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="num_layers=1"):
        VDSR(num_layers=1)


def test_a_mean_colour_of_luma_and_an_unknown_enlargement_are_refused() -> None:
    with pytest.raises(ConfigError, match="mean_shift=true: the mean is a colour, and channels=1"):
        VDSR(mean_shift=True)
    with pytest.raises(ConfigError, match=r"enlargement=torhc: there is no such enlargement; .*torch"):
        VDSR(enlargement="torhc")


def test_names_of_this_library_are_not_torchsrs(tmp_path: Path) -> None:
    """They are the same but for the mean colour."""
    source, other = (VDSR(channels=3, num_features=8, num_layers=3) for _ in range(2))
    torch.save(source.net.state_dict(), tmp_path / "net.pth")
    load_weights(other, tmp_path / "net.pth")
    assert torch.equal(source.net.body[0].weight, other.net.body[0].weight)


def test_a_file_of_luma_with_a_mean_colour_is_of_no_network(tmp_path: Path) -> None:
    colour = {f"{side}_mean.bias": sign * torch.tensor(DIV2K_MEAN) for side, sign in (("sub", -1), ("add", 1))}
    torch.save({**VDSR(num_features=8, num_layers=3).net.net.state_dict(), **colour}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="of no network that is known here"):
        load_model(tmp_path / "net.pth")


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "psnr"), [(2, 37.653), (3, 33.773), (4, 31.453)])
def test_published_weights(real_data: Path, scale: int, psnr: float) -> None:
    model = VDSR(scale=scale, protocol=LUMA).eval()
    load_weights(model, real_data / "weights" / "VDSR_x234_plain.pth")
    model.to(memory_format=torch.channels_last)  # a quarter faster
    with torch.inference_mode():
        scores = [model.score({"hr": load(path)})[1]["psnr"].item() for path in sorted((real_data / "Set5").iterdir())]
    assert sum(scores) / 5 == pytest.approx(psnr, abs=0.001)
