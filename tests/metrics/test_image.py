"""Metric classes: means of per-picture values, and LPIPS and DISTS against torchmetrics' networks."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import dists, lpips

from sr_lightning.blocks.vgg import _architecture
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.functional import ifc, imresize, ms_ssim, psnr, ssim
from sr_lightning.metrics import DISTS, IFC, LPIPS, MSSSIM, PSNR, SSIM, LRConsistency, Protocol
from sr_lightning.metrics.features import channel_weights

SIMPLE = {
    "psnr": (PSNR, psnr),
    "ssim": (SSIM, ssim),
    "ssim padded": (lambda: SSIM("zero_padded"), lambda x, y: ssim(x, y, "zero_padded")),
    "ms_ssim": (MSSSIM, ms_ssim),
    "ifc": (IFC, ifc),
}


def pair(n: int = 2, size: int = 161) -> tuple[torch.Tensor, torch.Tensor]:
    hr = torch.rand(n, 3, size, size)
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files of random weights under torchvision's names."""
    folder = tmp_path_factory.mktemp("weights")

    def make(network: str) -> Path:
        path = folder / f"{network}.pth"
        if not path.exists():
            torch.manual_seed(3)
            net = nn.Sequential(*_architecture(network)[1])
            torch.save({f"features.{k}": v for k, v in net.state_dict().items()}, path)
        return path

    return make


@pytest.mark.parametrize("name", SIMPLE)
def test_mean_of_pictures(name: str) -> None:
    make, function = SIMPLE[name]
    metric, values = make(), []
    for n, size in ((2, 161), (1, 170)):  # batches of different sizes
        sr, hr = pair(n, size)
        metric.update(sr, hr)
        values += function(sr, hr).tolist()
    assert metric.compute().item() == pytest.approx(sum(values) / 3, abs=1e-12)
    restored = pickle.loads(pickle.dumps(metric))
    assert restored.compute() == metric.compute()
    metric.reset()
    assert metric.count == 0
    sr, hr = pair(1)
    assert metric(sr, hr).item() == pytest.approx(function(sr, hr).item())


@pytest.mark.parametrize("name", SIMPLE)
def test_never_in_half_precision(name: str) -> None:
    make, function = SIMPLE[name]
    sr, hr = pair(1)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            value = make()(sr.to(dtype), hr.to(dtype))
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(function(sr.to(dtype).float(), hr.to(dtype).float()).item(), abs=1e-12)


def test_equal_pictures_do_not_spoil_psnr() -> None:
    metric, (sr, hr) = PSNR(), pair(1)
    metric.update(hr, hr)
    assert metric.compute().isposinf()
    metric.update(sr, hr)
    assert metric.compute() == psnr(sr, hr)


@pytest.mark.parametrize("name", SIMPLE)
def test_eight_bit_is_divided_and_0_to_255_refused(name: str) -> None:
    make, function = SIMPLE[name]
    sr, hr = (torch.randint(0, 256, (1, 3, 170, 161), dtype=torch.uint8) for _ in range(2))
    assert make()(sr, hr).item() == function(sr.double() / 255, hr.double() / 255).item()
    with pytest.raises(ValueError, match="divide those in 0"):
        make().update(sr.float(), hr.float())
    assert LRConsistency(2)(hr, imresize(hr.double() / 255, 0.5)).isposinf()


def test_nan_is_never_left_out() -> None:
    metric, (sr, hr) = PSNR(), pair(2)
    metric.update(torch.stack([sr[0], sr[1] * torch.nan]), hr)
    metric.update(hr, hr)
    assert metric.compute().isnan()


def test_lr_consistency() -> None:
    sr = torch.rand(2, 3, 24, 24)
    metric = LRConsistency(2)
    assert metric(sr, imresize(sr.double(), 0.5) + 0.1).item() == pytest.approx(20)
    with pytest.raises(ValueError, match="of one shape"):
        metric.update(sr, sr)


@pytest.mark.parametrize(("network", "name"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_lpips_is_torchmetrics(
    network: str, name: str, weights: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torchvision's place taken by the layers of the file; both use the authors' weights of the channels."""

    def model(weights: object = None) -> SimpleNamespace:
        return SimpleNamespace(features=loaded(network, path))

    path = weights(network)
    models = SimpleNamespace(**{network: model})
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setattr(lpips, "_TORCHVISION_AVAILABLE", True)
    reference = lpips._LPIPS(pretrained=True, net=name, pnet_rand=True).eval()
    sr, hr = pair(2, 67)
    with torch.no_grad():
        expected = reference(sr, hr, normalize=True).flatten().double()
    metric = LPIPS(path)
    torch.testing.assert_close(metric.values(sr, hr), expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(metric(sr, hr), expected.mean(), rtol=1e-4, atol=1e-7)
    assert metric.values(hr, hr).abs().max() == 0
    with torch.autocast("cpu", torch.bfloat16):
        assert pickle.loads(pickle.dumps(metric)).values(sr, hr).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_dists_is_torchmetrics(weights: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights("vgg16")
    monkeypatch.setattr(dists, "_TORCHVISION_AVAILABLE", True)
    net = SimpleNamespace(features=loaded("vgg16", path))
    monkeypatch.setattr(dists, "vgg16", lambda weights: net, raising=False)
    monkeypatch.setattr(dists, "VGG16_Weights", SimpleNamespace(DEFAULT=None), raising=False)
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **options: real(path, **{"map_location": "cpu", **options}))
    reference = dists.DISTSNetwork().eval()
    sr, hr = pair(2, 67)
    metric = DISTS(path)
    with torch.no_grad():
        torch.testing.assert_close(metric.values(sr, hr), reference(sr, hr).double(), rtol=1e-4, atol=1e-6)
    assert metric.values(hr, hr).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("lpips_models/alex.pth", [64, 192, 384, 256, 256]),
        ("lpips_models/vgg.pth", [64, 128, 256, 512, 512]),
        ("dists_models/weights.pt", [1475, 1475]),
    ],
)
def test_torchmetrics_still_has_the_channel_weights(name: str, shapes: list[int]) -> None:
    """torchmetrics has no public function for them, so a new release may move them."""
    assert [len(weight.flatten()) for weight in channel_weights(name).values()] == shapes


def test_missing_channel_weights_are_explained() -> None:
    with pytest.raises(CheckpointError, match=r"moved\.pth: no such file .* install torchmetrics 1\.9, or add them to"):
        channel_weights("lpips_models/moved.pth")


def loaded(network: str, path: Path) -> nn.Sequential:
    net = nn.Sequential(*_architecture(network)[1])
    net.load_state_dict({k.removeprefix("features."): v for k, v in torch.load(path, weights_only=True).items()})
    return net


def test_lpips_of_a_luma_protocol_compares_colour(weights: Callable[[str], Path]) -> None:
    from sr_lightning.models.bicubic import Bicubic

    given = {"metrics": ["psnr", "lpips", "lr_psnr"], "lpips_weights": str(weights("alexnet"))}
    batch = {"hr": torch.randint(0, 256, (1, 3, 80, 80), dtype=torch.uint8), "name": ["a"]}
    protocols = [Protocol("p", lr="y", **given), Protocol("q", lr="rgb", space="rgb", **given)]
    luma, rgb = (Bicubic(scale=2, protocol=p).score(batch)[1] for p in protocols)
    assert set(luma) == {"psnr", "lpips", "lr_psnr"}
    assert luma["lpips"].item() == pytest.approx(rgb["lpips"].item(), rel=1e-6)


def test_too_small_for_a_network(weights: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="LPIPS needs at least 32x32"):
        LPIPS(weights("alexnet")).update(torch.zeros(1, 3, 31, 40), torch.zeros(1, 3, 31, 40))


@pytest.mark.parametrize("name", SIMPLE)
def test_processes_add_up(name: str) -> None:
    make, function = SIMPLE[name]
    pairs = [pair(1), pair(2)]
    first, second = make(), make()
    first.update(*pairs[0])
    second.update(*pairs[1])
    first.merge_state(second)
    values = [value for sr, hr in pairs for value in function(sr, hr).tolist()]
    assert first.compute().item() == pytest.approx(sum(values) / 3, abs=1e-12)
    assert (first.count, first.pictures) == (3, 3)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_what_metrics_say_of_themselves() -> None:
    for kind in (PSNR, SSIM, MSSSIM, IFC, LRConsistency, LPIPS, DISTS):
        assert kind.higher_is_better is (kind not in (LPIPS, DISTS)) and kind.is_differentiable is False
    assert PSNR().compute().isnan()
    with pytest.raises(ConfigError, match="window=full: must be valid or zero_padded"):
        SSIM("full")  # type: ignore[arg-type]
