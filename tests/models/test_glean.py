"""GLEAN: published counts, the bank stays frozen, both networks learn, official weights find their places."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from sr_lightning.blocks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from sr_lightning.errors import CheckpointError
from sr_lightning.models.glean import GLEAN, GLEANNet, load_bank

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
        assert size(GLEANNet(out_size // in_size, out_size)) == net
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
    _, sr = model.losses_and_picture({"lr": torch.rand(2, 3, 8, 8), "hr": torch.rand(2, 3, 32, 32)})
    assert model.discriminator is not None
    model.discriminator.requires_grad_(False)
    torch.nn.functional.softplus(-model.discriminator(model.judged(sr))).mean().backward()
    assert model.net.last[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.discriminator.parameters())


def test_bank_weights(tmp_path: Path) -> None:
    bank = StyleGAN2Generator(32, 16, cap=16)
    torch.save(bank.state_dict(), tmp_path / "bank.pt")
    model = GLEAN(**TINY, bank_weights=str(tmp_path / "bank.pt"))
    assert torch.equal(model.net.bank.constant, bank.constant)
    torch.save({"g_ema": _port_names(bank.state_dict())}, tmp_path / "port.pt")
    other = StyleGAN2Generator(32, 16, cap=16)
    load_bank(other, tmp_path / "port.pt")
    z = torch.randn(2, 16)
    torch.testing.assert_close(other(z), bank(z))
    with pytest.raises(CheckpointError, match="64 pixels"):
        load_bank(StyleGAN2Generator(64, 16, cap=16), tmp_path / "bank.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        load_bank(bank, tmp_path / "missing.pt")


def _port_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of the usual PyTorch port, as its files have them."""
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
        named[name] = value
    return named


def test_sizes_that_are_no_powers_of_two() -> None:
    with pytest.raises(ValueError, match="scale=3"):
        GLEAN(**{**TINY, "scale": 3})


def test_a_batch_the_discriminator_cannot_group() -> None:
    with pytest.raises(ValueError, match="multiple of 4, got 6"):
        StyleGAN2Discriminator(16, cap=8)(torch.rand(6, 3, 16, 16))
