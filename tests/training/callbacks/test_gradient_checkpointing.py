"""Gradient checkpointing: the same gradients from less memory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import GradientCheckpointing
from sr_lightning.training.fitting import fit
from tiny_networks import MODELS, WINDOWS, inputs, make

NETWORKS = (
    ("model=edsr", "model.num_blocks=12", "model.num_features=8"),
    ("model=rrdb", "model.num_blocks=3", "model.num_features=8"),
    ("model=rcan", "model.num_groups=3", "model.num_blocks=2", "model.num_features=16"),
    ("model=atd", *WINDOWS, "model.num_groups=3", "model.num_blocks=2", "model.group=20", "model.num_tokens=6"),
    ("model=pft", *WINDOWS, "model.num_blocks=[2,2,2]"),
)


def step(net: nn.Module, image: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """Bytes that are kept for the backward pass, and the gradients."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    net.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = net(image).square().mean()
    loss.backward()
    return sum(kept.values()), [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize("typed", NETWORKS, ids=lambda typed: typed[0])
def test_gradients_are_the_same_and_memory_less(typed: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model: Any = build(compose("train", typed).model)
    names, image = list(model.state_dict()), torch.rand(2, 3, 24, 24)
    plain, expected = step(model.net, image)
    callback: Any = GradientCheckpointing()
    callback.on_fit_start(None, model)
    less, gradients = step(model.net, image)
    assert less < 0.6 * plain and list(model.state_dict()) == names
    torch.testing.assert_close(gradients, expected, rtol=1e-6, atol=1e-9)
    callback.on_fit_end(None, model)
    assert step(model.net, image)[0] == plain


def test_a_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    quick = (
        *NETWORKS[0], "trainer=cpu", "trainer.precision=float32", "logger=none", "trainer.enable_progress_bar=false",
        "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24", "epochs=1",
        "trainer.limit_val_batches=1", "callbacks.channels_last.when=never",
    )  # fmt: skip
    weights = []
    for name, callbacks in (("plain", "default"), ("less", "default,gradient_checkpointing")):
        folder = tmp_path / name
        cfg = compose("train", [*quick, f"callbacks=[{callbacks}]", f"run_dir={folder}"])
        prepare_run(cfg)
        trainer, model = build_trainer(cfg, folder), build_model(cfg)
        fit(trainer, model, build(cfg.data), None, folder)
        weights.append(torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"])
    torch.testing.assert_close(*weights)


#: Without blocks that repeat, at least when tiny, or with batch statistics.
REFUSED = {
    *("atd", "atd_light", "bicubic", "compact", "drcn", "drrn_b1u25", "drrn_b1u9", "espcn", "fsrcnn", "fsrcnn_s"),
    *("guided_filter", "lapsrn", "mslapsrn", "srcnn", "vdsr", "zssr"),
    *("dat", "dat_light", "deepresnet", "packed_bicubic", "packed_srresnet", "srnet"),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_the_same_gradients(name: str) -> None:
    model = make(name, 8 if name == "glean" else 2)
    pictures = inputs(model, 2, 32, 32)
    callback: Any = GradientCheckpointing()

    def gradients() -> dict[str, torch.Tensor | None]:
        torch.manual_seed(0)  # of the blocks that are left out
        model.zero_grad()
        model.train()(*pictures).square().mean().backward()
        return {of: parameter.grad for of, parameter in model.named_parameters()}

    try:
        callback.on_fit_start(None, model)
    except ConfigError:
        assert name in REFUSED
        return
    assert name not in REFUSED
    found = gradients()
    callback.on_fit_end(None, model)
    torch.testing.assert_close(found, gradients())


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)), "repeats no block"),
        (nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)) for _ in "ab")), "batch statistics"),
    ],
)
def test_networks_that_it_does_not_suit(net: nn.Module, message: str) -> None:
    callback: Any = GradientCheckpointing()
    with pytest.raises(ConfigError, match=f"^callbacks=gradient_checkpointing: SimpleNamespace .*{message}.*leave"):
        callback.on_fit_start(None, SimpleNamespace(net=net))
