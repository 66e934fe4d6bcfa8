"""GLEAN: published counts, the bank stays frozen, both networks learn, official weights find their places."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from sr_lightning.blocks import RRDB
from sr_lightning.blocks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, _DownBlock, _group_deviation
from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.losses import Mix, Perceptual
from sr_lightning.models.glean import GLEAN, load_bank, load_discriminator

TINY: dict[str, Any] = {
    "scale": 4, "out_size": 32, "num_features": 8, "growth_rate": 4, "num_blocks": 1, "style_channels": 16, "cap": 16,
}  # fmt: skip


def size(module: torch.nn.Module, trainable: bool = True) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


@pytest.mark.parametrize(
    ("out_size", "in_size", "net", "bank", "discriminator"),
    [
        (256, 32, 132_445_523, 30_034_338, 28_864_129),
        (256, 16, 141_869_311, 30_034_338, 28_864_129),
        (1024, 64, 145_146_663, 30_370_060, 29_012_513),
        (1024, 128, 143_826_555, 30_370_060, 29_012_513),
        (1024, 32, 149_851_859, 30_370_060, 29_012_513),
    ],
)
def test_published_counts(out_size: int, in_size: int, net: int, bank: int, discriminator: int) -> None:
    with torch.device("meta"):
        assert size(GLEAN(scale=out_size // in_size, out_size=out_size).net) == net
        assert size(StyleGAN2Generator(out_size)) == bank
        assert size(StyleGAN2Discriminator(out_size)) == discriminator


def test_generator_and_discriminator_both_learn(tmp_path: Path) -> None:
    model = GLEAN(**TINY, gan_weight=1.0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    item = {"lr": torch.rand(3, 8, 8), "hr": torch.rand(3, 32, 32), "name": "a"}
    trainer = Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, DataLoader([item] * 4, batch_size=2))
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    for part in ("net.first.", "net.style.", "net.fuse.", "net.last.", "discriminator."):
        assert any(key.startswith(part) for key in changed), part
    assert not any(key.startswith("net.bank.") for key in changed)
    assert trainer.callback_metrics["train/gan"] > 0


def test_the_adversarial_loss_reaches_the_generator_alone() -> None:
    """Generator step: gradients in the generator, none in the discriminator."""
    model = GLEAN(**TINY)
    sr, _ = model.pictures({"lr": torch.rand(2, 3, 8, 8), "hr": torch.rand(2, 3, 32, 32)})
    assert model.discriminator is not None
    model.discriminator.requires_grad_(False)
    torch.nn.functional.softplus(-model.discriminator(model.discriminator_input(sr))).mean().backward()
    assert model.net.last[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.discriminator.parameters())


def test_bank_weights(tmp_path: Path) -> None:
    bank = StyleGAN2Generator(32, 16, cap=16)
    torch.save(bank.state_dict(), tmp_path / "bank.pt")
    model = GLEAN(**TINY, bank_weights=str(tmp_path / "bank.pt"))
    assert torch.equal(model.net.bank.constant, bank.constant)
    torch.nn.init.ones_(bank.first.noise_strength)
    torch.save({"g_ema": _port_names(bank.state_dict()), "latent_avg": torch.zeros(16)}, tmp_path / "port.pt")
    other = StyleGAN2Generator(32, 16, cap=16)
    load_bank(other, tmp_path / "port.pt")
    z = torch.randn(2, 16)
    torch.testing.assert_close(other(z), bank(z))
    with pytest.raises(CheckpointError, match="64 pixels"):
        load_bank(StyleGAN2Generator(64, 16, cap=16), tmp_path / "bank.pt")
    with pytest.raises(CheckpointError, match=r"no such file of model\.bank_weights"):
        load_bank(bank, tmp_path / "missing.pt")


def test_discriminator_weights(tmp_path: Path) -> None:
    source = StyleGAN2Discriminator(32, cap=16)
    torch.save(source.state_dict(), tmp_path / "own.pt")
    torch.save({"g_ema": {}, "d": _discriminator_port_names(source.state_dict())}, tmp_path / "port.pt")
    pictures = torch.rand(4, 3, 32, 32)
    for file in ("own.pt", "port.pt"):
        model = GLEAN(**TINY, discriminator_weights=str(tmp_path / file))
        assert model.discriminator is not None
        assert torch.equal(model.discriminator(pictures), source(pictures))
    with pytest.raises(CheckpointError, match=r"port\.pt: no StyleGAN2 discriminator of 64 pixels \(first misfit: "):
        load_discriminator(StyleGAN2Discriminator(64, cap=16), tmp_path / "port.pt")
    with pytest.raises(
        CheckpointError, match=r"no such file of model\.discriminator_weights, which names a StyleGAN2 disc"
    ):
        GLEAN(**TINY, discriminator_weights=str(tmp_path / "missing.pt"))


@pytest.mark.parametrize(
    "content", [torch.zeros(2), {"g_ema": {"style.x": torch.zeros(1), "convs": torch.zeros(1)}}, {"d": 3}]
)
def test_files_of_something_else(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no StyleGAN2 generator of 32 pixels"):
        load_bank(StyleGAN2Generator(32, 16, cap=16), tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no StyleGAN2 discriminator of 32 pixels"):
        load_discriminator(StyleGAN2Discriminator(32, cap=16), tmp_path / "other.pt")


def test_a_checkpoint_does_not_need_the_files_it_began_with(tmp_path: Path) -> None:
    bank, discriminator = StyleGAN2Generator(32, 16, cap=16), StyleGAN2Discriminator(32, cap=16)
    torch.save({"g_ema": bank.state_dict(), "d": discriminator.state_dict()}, tmp_path / "stylegan2.pt")
    file = str(tmp_path / "stylegan2.pt")
    model = GLEAN(**TINY, bank_weights=file, discriminator_weights=file, gan="relativistic")
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    (tmp_path / "stylegan2.pt").unlink()
    again = GLEAN.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert torch.equal(again.net.bank.constant, bank.constant) and again.adversary.loss.kind == "relativistic"


def test_the_losses_of_the_experiment(tmp_path: Path) -> None:
    """Squares of pixels from -1 to 1, and of VGG16's features; without its weights it says which are missing."""

    def loss(*overrides: str) -> Mix:
        mix: Mix = build(compose("train", ["experiment=glean_x8", *overrides]).loss)
        return mix

    with pytest.raises(ConfigError, match=r"weights of vgg16: torchvision's vgg16-397923af\.pth, by loss"):
        loss()
    with pytest.raises(CheckpointError, match="no such file of vgg16's weights"):
        loss(f"loss.losses.perceptual.weights={tmp_path / 'missing.pth'}")
    torch.save(_random_vgg16(), tmp_path / "vgg16.pth")
    mix = loss(f"loss.losses.perceptual.weights={tmp_path / 'vgg16.pth'}")
    model = GLEAN(**TINY, loss=mix)
    batch: Any = {"lr": torch.rand(1, 3, 8, 8), "hr": torch.rand(1, 3, 32, 32)}
    terms, (sr, hr) = model.training_losses(batch), model.pictures(batch)
    torch.testing.assert_close(terms["pixel"], F.mse_loss(2 * sr - 1, 2 * hr - 1))
    features = VGGFeatures(tmp_path / "vgg16.pth", ["conv4_3"], "vgg16")
    difference = features(sr)["conv4_3"] - features(hr)["conv4_3"]
    assert isinstance(mix.losses["perceptual"], Perceptual)
    torch.testing.assert_close(terms["perceptual"], 1e-2 * difference.square().mean())
    assert model.adversary.weight == compose("train", ["experiment=glean_x8"]).model.gan_weight == 1e-2


def _random_vgg16() -> dict[str, torch.Tensor]:
    """Of torchvision's names, up to conv4_3."""
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512]
    state = {}
    for i, place in enumerate([0, 2, 5, 7, 10, 12, 14, 17, 19, 21]):
        conv = torch.nn.Conv2d(widths[i], widths[i + 1], 3)
        state |= {f"features.{place}.weight": conv.weight.detach(), f"features.{place}.bias": conv.bias.detach()}  # type: ignore[union-attr]
    return state


def _port_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names and shapes of the usual PyTorch port, as its files have them."""
    named = {}
    for key, value in state.items():
        head, _, rest = key.partition(".")
        rest = rest.replace("noise_strength", "noise.weight")
        index, _, tail = rest.partition(".")
        tail = "activate.bias" if tail == "bias" and head in ("up", "same") else tail
        if head == "constant":
            name = "input.input"
        elif head == "mapping":
            name = f"style.{int(index) + 1}.{tail}"
        elif key == "first.noise":
            name = "noises.noise_0"
        elif head == "first":
            name = f"conv1.{'activate.bias' if rest == 'bias' else rest}"
        elif head == "first_rgb":
            name = f"to_rgb1.{rest}"
        elif head == "rgb":
            name = f"to_rgbs.{index}.{tail}"
        else:
            place = 2 * int(index) + (head == "same")
            name = f"noises.noise_{place + 1}" if tail == "noise" else f"convs.{place}.{tail}"
        if name.endswith("conv.weight"):
            value = value[None]
        elif name.startswith("to_rgb") and name.endswith(("rgb1.bias", f"{index}.bias")):
            value = value.view(1, 3, 1, 1)
        named[name] = value
    assert named["to_rgbs.0.bias"].shape == named["to_rgb1.bias"].shape == (1, 3, 1, 1)
    assert named["convs.0.conv.weight"].shape == (1, 16, 16, 3, 3) and named["conv1.noise.weight"].shape == (1,)
    # Filters are buffers there.
    return named | {"convs.0.conv.blur.kernel": torch.ones(4, 4), "to_rgbs.0.upsample.kernel": torch.ones(4, 4)}


def _discriminator_port_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    layers = {"same": "conv1.{}", "down": "conv2.{}", "skip": "skip.1"}
    # In a layer, filter, convolution and bias are numbered; what has a bias there keeps it in the activation.
    places = {"same": (0, 1), "down": (1, 2), "skip": (1, 1)}
    named = {}
    for key, value in state.items():
        head, *inner, kind = key.split(".")
        bias = kind == "bias"
        if head == "blocks":
            layer = layers[inner[1]].format(places[inner[1]][bias])
            named[f"convs.{int(inner[0]) + 1}.{layer}.{kind}"] = value
        elif head in ("hidden", "output"):
            named[f"final_linear.{int(head == 'output')}.{kind}"] = value
        else:
            name = {"from_rgb": "convs.0", "last": "final_conv"}[head]
            named[f"{name}.{int(bias)}.{kind}"] = value[None, :, None, None] if bias else value
    return named | {"convs.1.conv2.0.kernel": torch.ones(4, 4), "convs.1.skip.0.kernel": torch.ones(4, 4)}


def test_sizes_that_are_no_powers_of_two() -> None:
    with pytest.raises(ValueError, match="scale=3"):
        GLEAN(**{**TINY, "scale": 3})


# --- layers against their formulas ------------------------------------------------------------------------------------


def test_rrdb() -> None:
    """Two residuals within each other, both times 0.2."""
    torch.manual_seed(0)
    block, x = RRDB(num_features=6, growth_rate=4), torch.randn(2, 6, 5, 7)
    y = x
    for dense in block.body:
        maps = [y]
        for i, layer in enumerate(dense.layers):
            out = F.conv2d(torch.cat(maps, 1), layer.weight, layer.bias, padding=1)
            maps.append(torch.where(out > 0, out, 0.2 * out) if i < 4 else out)
        y = y + 0.2 * maps[-1]
    torch.testing.assert_close(block(x), x + 0.2 * y)


def filtered(x: torch.Tensor, left: int, right: int) -> torch.Tensor:
    """[1, 3, 3, 1] / 8 along both sides, after so many zeros."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    x = F.pad(x, [left, right, left, right])
    rows = sum(tap * x[..., i : x.shape[-2] - 3 + i, :] for i, tap in enumerate(taps))
    return sum((tap * rows[..., i : x.shape[-1] - 3 + i] for i, tap in enumerate(taps)), torch.zeros(()))  # type: ignore[index]


def test_a_block_of_the_discriminator() -> None:
    """The filter goes before each stride, with two zeros around 3x3 and one around 1x1 kernels."""
    torch.manual_seed(0)
    block, x = _DownBlock(4, 6), torch.randn(2, 4, 8, 8)

    def act(y: torch.Tensor) -> torch.Tensor:
        return 2**0.5 * torch.where(y > 0, y, 0.2 * y)

    y = act(F.conv2d(x, block.same.weight / 6, block.same.bias, padding=1))
    y = act(F.conv2d(filtered(y, 2, 2), block.down.weight / 6, block.down.bias, stride=2))
    skip = F.conv2d(filtered(x, 1, 1), block.skip.weight / 2, stride=2)
    torch.testing.assert_close(block(x), (y + skip) / 2**0.5)


@pytest.mark.parametrize(("batch", "group"), [(1, 1), (2, 2), (3, 3), (4, 4), (8, 4), (6, 3), (10, 2), (5, 5)])
def test_deviation_within_groups(batch: int, group: int) -> None:
    """Picture i is grouped with i + batch / group and so on; divided by the number of pictures, not one less."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, 4, 4)
    found = _group_deviation(x)
    assert found.shape == (batch, 1, 4, 4)
    for i in range(batch):
        members = x[i % (batch // group) :: batch // group]
        spread = (members - members.mean(0)).square().sum(0) / group
        torch.testing.assert_close(found[i], (spread + 1e-8).sqrt().mean().expand(1, 4, 4))


def test_any_batch_trains() -> None:
    assert StyleGAN2Discriminator(16, cap=8)(torch.rand(6, 3, 16, 16)).shape == (6, 1)
