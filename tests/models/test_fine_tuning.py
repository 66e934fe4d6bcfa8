"""Fine-tuning: frozen layers stay, layers have rates of their own, and the rate warms up."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from running import fails, run_here
from sr_lightning.errors import ConfigError
from sr_lightning.models import EDSR, SRResNet, SuperResolutionModule
from sr_lightning.models.fine_tuning import FineTuning
from sr_lightning.training.schedules import cosine


def small() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=4, num_blocks=2, optimizer=partial(torch.optim.SGD, lr=0.1))


def step(model: SuperResolutionModule, optimizer: Any) -> None:
    batch = {"lr": torch.rand(1, 3, 6, 6), "hr": torch.rand(1, 3, 12, 12)}
    optimizer.zero_grad()
    sum(model.training_losses(batch).values()).backward()  # type: ignore[arg-type,union-attr]
    optimizer.step()


def test_frozen_layers_stay_and_others_learn() -> None:
    model = small()
    FineTuning(freeze=("head", "body.0")).apply(model)
    before = {name: value.clone() for name, value in model.named_parameters()}
    step(model, model.configure_optimizers())
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    stays = {name for name in before if name.startswith(("net.head.", "net.body.0."))}
    assert stays and moved == before.keys() - stays


def test_statistics_of_frozen_layers_stay() -> None:
    model = SRResNet(scale=2, num_features=4, num_blocks=2, norm="batch")
    FineTuning(freeze=("body.0",)).apply(model)  # a trainer does not call model.train()
    model(torch.rand(2, 3, 6, 6))
    counted = {name: int(value) for name, value in model.state_dict().items() if name.endswith("batches_tracked")}
    assert {name for name, count in counted.items() if not count} == {n for n in counted if n.startswith("net.body.0.")}
    assert len(set(counted.values())) == 2


def test_each_layer_has_its_rate() -> None:
    model = small()
    FineTuning(layer_rates={"body": 0.1, "body.1": 0.5, "tail": 2}).apply(model)
    optimizer = model.configure_optimizers()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    of = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert of["net.body.0.body.0.weight"] == pytest.approx(0.01)
    assert of["net.body.1.body.0.weight"] == pytest.approx(0.05)
    assert of["net.tail.1.weight"] == pytest.approx(0.2) and of["net.head.weight"] == pytest.approx(0.1)


def test_a_warm_up_reduces_the_first_steps_and_no_schedule_sees_it() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler, seen = cosine(optimizer, total_steps=10), list[float]()
    FineTuning(warmup=4).warm_up(optimizer, lambda: len(seen))
    for _ in range(10):
        before, rate = weight.item(), optimizer.param_groups[0]["lr"]
        weight.grad = torch.ones(1)
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == rate
        seen.append((before - weight.item()) / rate)
        scheduler.step()
    assert seen[:9] == pytest.approx([0.25, 0.5, 0.75, *[1] * 6], rel=1e-4)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """Of a schedule that does not depend on the length of the run."""
    settings = ["layer_rates={body: 0.1}", "freeze=upsampler", "warmup=5", "scheduler=halve", "scheduler.step_size=4",
                "logger=null"]  # fmt: skip
    run = ["model=espcn", "data.batches_per_epoch=3", *settings]
    whole = run_here("train", *run, "epochs=3", "run_dir=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert run_here("train", *run, "epochs=3", "trainer.max_epochs=1", "run_dir=half", cwd=tmp_path).returncode == 0
    on = run_here("train", "ckpt_path=half/checkpoints/last.ckpt", "trainer.max_epochs=3", "run_dir=on", cwd=tmp_path)
    assert on.returncode == 0, on.stderr
    states = [torch.load(tmp_path / f"{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
              for run in ("whole", "on")]  # fmt: skip
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = run_here("train", "ckpt_path=half/checkpoints/last.ckpt", "trainer.max_epochs=4", "freeze=body.0",
                     cwd=tmp_path)  # fmt: skip
    fails(other, "its optimizer")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ("boby",)}, "freeze=boby: the network has no such layer; did you mean 'body'"),
        ({"layer_rates": {"x": 0.1}}, "layer_rates=x: the network has no such layer; there are body, head, tail"),
        ({"freeze": ("head", "body", "tail")}, "leaves nothing to train"),
    ],
)
def test_what_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FineTuning(**settings).apply(small())


def test_by_config(tmp_path: Path) -> None:
    short = ["model=espcn", "trainer.max_epochs=1", "data.batches_per_epoch=2", "init_from=espcn", "logger=null"]
    result = run_here("train", *short, "freeze=body", "layer_rates={upsampler: 0.5}", "warmup=2", "run_dir=r",
                      cwd=tmp_path)  # fmt: skip
    assert result.returncode == 0, result.stderr
    state = torch.load(tmp_path / "r/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    from sr_lightning.weights.shipped import load_pretrained

    shipped = load_pretrained("espcn", 2).state_dict()
    assert {name for name in shipped if torch.equal(shipped[name], state[name])} == {
        name for name in shipped if ".body." in name
    }
    fails(run_here("train", *short, "warmup=-1", cwd=tmp_path), "warmup=-1: must be a whole number, 0 or more")
