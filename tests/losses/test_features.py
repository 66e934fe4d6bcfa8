"""Losses on VGG's features, and CoBi, against other ways to compute them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from sr_lightning import losses
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.losses.cobi import CoBi, contextual_bilateral
from sr_lightning.models import EDSR

#: torchvision's table: channels, and M where there is a pooling.
TABLE = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Random weights under torchvision's names, small enough to keep: the features up to the third pooling."""
    folder = tmp_path_factory.mktemp("vgg")

    def make(network: str) -> Path:
        path, index, width = folder / f"{network}.pth", 0, 3
        if path.exists():
            return path
        torch.manual_seed(1)
        state: dict[str, Tensor] = {"classifier.0.weight": torch.zeros(1)}
        for word in TABLE[network].split():
            if word == "M":
                index += 1
                if width == 256:
                    break
                continue
            state[f"features.{index}.weight"] = torch.randn(int(word), width, 3, 3) * (2 / (9 * width)) ** 0.5
            state[f"features.{index}.bias"] = 0.1 * torch.randn(int(word))
            index, width = index + 2, int(word)
        torch.save(state, path)
        return path

    return make


def by_hand(
    image: Tensor, path: Path, convolutions: int, poolings: tuple[int, ...], relu: bool, pool: Any = F.max_pool2d
) -> Tensor:
    """VGG written as calls: so many convolutions, pooling before those counted in ``poolings``."""
    state = torch.load(path, weights_only=True)
    kernels = [state[key] for key in state if key.startswith("features") and key.endswith("weight")]
    biases = [state[key] for key in state if key.startswith("features") and key.endswith("bias")]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    for i in range(convolutions):
        x = F.relu(x) if i else x
        x = pool(x, 2) if i in poolings else x
        x = F.conv2d(x, kernels[i], biases[i], padding=1)
    return F.relu(x) if relu else x


def pictures(channels: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.rand(2, channels, 24, 20), torch.rand(2, channels, 24, 20)


@pytest.mark.parametrize(
    ("network", "layer", "convolutions", "poolings", "relu"),
    [
        ("vgg16", "conv1_2", 2, (), False),
        ("vgg16", "relu3_3", 7, (2, 4), True),
        ("vgg19", "conv2_1", 3, (2,), False),
        ("vgg19", "conv3_4", 8, (2, 4), False),
    ],
)
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_perceptual(
    network: str, layer: str, convolutions: int, poolings: Any, relu: bool, distance: Any, weights: Any
) -> None:
    sr, hr = pictures()
    path = weights(network)
    a, b = (by_hand(x, path, convolutions, poolings, relu) for x in (sr, hr))
    expected = (a - b).abs().mean() if distance == "l1" else (a - b).square().mean()
    criterion = losses.Perceptual(path, network, {layer: 0.5}, distance)
    torch.testing.assert_close(criterion(sr, hr), 0.5 * expected, rtol=1e-4, atol=1e-6)


def test_index_of_gleans_layer() -> None:
    from sr_lightning.blocks.vgg import _architecture

    assert _architecture("vgg16")[0]["conv4_3"] == 21
    assert _architecture("vgg19")[0]["conv5_4"] == 34


def test_perceptual_of_several_layers_and_grey_pictures(weights: Any) -> None:
    path, (sr, hr) = weights("vgg19"), pictures(1)
    both = losses.Perceptual(path, "vgg19", {"conv1_2": 2.0, "relu2_2": 3.0})
    alone = [losses.Perceptual(path, "vgg19", {layer: 1.0}) for layer in ("conv1_2", "relu2_2")]
    rgb = sr.repeat(1, 3, 1, 1), hr.repeat(1, 3, 1, 1)
    torch.testing.assert_close(both(sr, hr), 2 * alone[0](*rgb) + 3 * alone[1](*rgb))


def test_perceptual_gradient_in_any_precision(weights: Any) -> None:
    sr, hr = pictures()
    criterion = losses.Perceptual(weights("vgg19"), layers={"conv2_2": 1.0})
    sr = sr.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = criterion(sr, hr.bfloat16())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, criterion(sr.float(), hr.bfloat16().float()))
    value.backward()
    assert sr.grad is not None and sr.grad.isfinite().all() and sr.grad.abs().sum() > 0


def test_the_features_stay_out_of_checkpoints(weights: Any, tmp_path: Path) -> None:
    perceptual = losses.Perceptual(weights("vgg19"), layers={"conv1_2": 1.0})
    mix = losses.Mix({"l1": torch.nn.L1Loss(), "perceptual": perceptual}, {"perceptual": 0.01})
    model = EDSR(scale=2, num_features=8, num_blocks=1, loss=mix)
    plain = EDSR(scale=2, num_features=8, num_blocks=1)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in plain.named_parameters()]
    assert count_parameters(model) == count_parameters(plain)
    before = perceptual.features._net[0][0].weight.clone()
    trainer = Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    item = {"lr": torch.rand(3, 12, 12), "hr": torch.rand(3, 24, 24), "name": "a"}
    trainer.fit(model, DataLoader([item, item], batch_size=2))
    assert trainer.callback_metrics["train/perceptual"] > 0
    assert torch.equal(perceptual.features._net[0][0].weight, before)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    assert not any("loss" in key for key in torch.load(tmp_path / "model.ckpt", weights_only=True)["state_dict"])
    EDSR.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)


def test_the_features_move_with_the_module(weights: Any) -> None:
    model = torch.nn.Sequential(losses.Perceptual(weights("vgg19"), layers={"conv1_2": 1.0}))
    model.to("meta")
    assert all(p.device.type == "meta" for p in model[0].features._net[0].parameters())
    assert model[0].features.standardize.mean.device.type == "meta"


def test_weights_that_are_not_there(weights: Any, tmp_path: Path) -> None:
    def made(*overrides: str) -> Any:
        return build(compose("train", ["loss=perceptual", *overrides]).loss)

    with pytest.raises(ConfigError, match=r"weights of vgg19: torchvision's vgg19-dcbb9e9d\.pth, by loss"):
        made()
    with pytest.raises(CheckpointError, match=r"none\.pth: no such file of vgg19's weights"):
        made(f"loss.weights={tmp_path / 'none.pth'}")
    with pytest.raises(CheckpointError, match=r"no weights of vgg19: features\.19\.weight is missing"):
        made(f"loss.weights={weights('vgg19')}")
    with pytest.raises(CheckpointError, match=r"no weights of vgg19: features\.16\.weight has the shape|is missing"):
        made(f"loss.weights={weights('vgg16')}")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"code": losses.Charbonnier()}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "short.pth").write_bytes(weights("vgg16").read_bytes()[:2000])
    for name in ("text", "code", "list", "short"):
        with pytest.raises(CheckpointError, match=rf"{name}\.pth: "):
            made(f"loss.weights={tmp_path / name}.pth")
    for override, message in (
        ("loss.network=vgg11", "vgg16, vgg19, alexnet"),
        ("+loss.layers.conv5_5=1", r"no layer conv5_5; did you mean '.*conv5_4'"),
        ("loss.distance=cosine", "loss.distance=cosine: must be l1 or l2"),
    ):
        with pytest.raises(ConfigError, match=message):
            made(override, f"loss.weights={weights('vgg19')}")


# --- CoBi -------------------------------------------------------------------------------------------------------------


def slowly(sr: Tensor, hr: Tensor, distance: str, spatial_weight: float, bandwidth: float) -> float:
    """One picture, place by place, as the paper writes it."""
    _, height, width = sr.shape
    places = [(y, x) for y in range(height) for x in range(width)]
    mean = hr.mean((1, 2))

    def apart(i: tuple[int, int], j: tuple[int, int]) -> float:
        a, b = sr[:, i[0], i[1]], hr[:, j[0], j[1]]
        if distance == "l2":
            return float((a - b).square().sum())
        return (1 - float(F.cosine_similarity(a - mean, b - mean, dim=0))) / 2

    def away(i: tuple[int, int], j: tuple[int, int]) -> float:
        return ((i[0] - j[0]) / height) ** 2 + ((i[1] - j[1]) / width) ** 2

    def affinity(of: Any) -> list[list[float]]:
        rows = []
        for i in places:
            raw = [of(i, j) for j in places]
            values = [math.exp((1 - d / (min(raw) + 1e-3)) / bandwidth) for d in raw]
            rows.append([v / sum(values) for v in values])
        return rows

    feature, spatial = affinity(apart), affinity(away)
    best = [
        max((1 - spatial_weight) * feature[i][j] + spatial_weight * spatial[i][j] for i in range(len(places)))
        for j in range(len(places))
    ]
    return -math.log(sum(best) / len(best))


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize(("spatial_weight", "bandwidth"), [(0.1, 0.5), (0.5, 1.0), (0.0, 0.5)])
def test_cobi(distance: Any, spatial_weight: float, bandwidth: float) -> None:
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 6, 5, 4).double(), torch.rand(2, 6, 5, 4).double()
    expected = sum(slowly(a, b, distance, spatial_weight, bandwidth) for a, b in zip(sr, hr, strict=True)) / 2
    value = contextual_bilateral(sr, hr, distance, spatial_weight, bandwidth)
    assert value.item() == pytest.approx(expected, rel=1e-3)


def test_cobi_of_patches() -> None:
    sr, hr = (x[..., :9, :8] for x in pictures())
    patches = [
        torch.stack([x[..., y : y + 5, u : u + 5].flatten(1) for y in range(5) for u in range(4)], dim=2) * 255
        for x in (sr, hr)
    ]
    maps = [p.unflatten(2, (5, 4)) for p in patches]
    torch.testing.assert_close(CoBi()(sr, hr), contextual_bilateral(maps[0], maps[1], "l2"))
    with pytest.raises(ValueError, match="no patch of 5"):
        CoBi()(sr[..., :4], hr[..., :4])


def test_cobi_forgives_a_small_shift() -> None:
    """What it is for: the same picture a pixel off is nearer than a smoothed one in place, unlike for L1."""
    torch.manual_seed(0)
    whole = torch.rand(1, 3, 25, 25)
    hr, shifted = whole[..., :24, :24], whole[..., 1:, 1:]
    smooth = F.avg_pool2d(F.pad(hr, [1] * 4, mode="reflect"), 3, stride=1)
    assert CoBi()(shifted, hr) < CoBi()(smooth, hr)
    assert F.l1_loss(shifted, hr) > F.l1_loss(smooth, hr)


def test_cobi_of_a_subset_and_its_gradient() -> None:
    sr, hr = pictures()
    sr = sr.bfloat16().requires_grad_()
    criterion = CoBi(max_positions=50)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        value = criterion(sr, hr)
    assert value.dtype == torch.float32
    value.backward()
    assert sr.grad is not None and sr.grad.isfinite().all() and sr.grad.abs().sum() > 0
    torch.manual_seed(5)
    torch.testing.assert_close(criterion(sr, hr), value)  # drawn from torch's state, which checkpoints keep
    assert not torch.equal(criterion(sr, hr), value)


def test_cobi_with_features(weights: Any) -> None:
    sr, hr = pictures()
    path = weights("vgg19")
    both = CoBi(weights=path)
    expected = CoBi()(sr, hr)
    # After the ReLU, and poolings are means, as in the authors' code.
    for convolutions, w in ((2, 1), (4, 1), (6, 0.5)):
        a, b = (by_hand(x, path, convolutions, (2, 4), True, F.avg_pool2d) for x in (sr, hr))
        expected = expected + w * contextual_bilateral(a, b, "cosine")
    torch.testing.assert_close(both(sr, hr), expected)
    assert not both.state_dict()
