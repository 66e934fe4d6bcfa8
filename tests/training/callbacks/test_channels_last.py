"""Channels-last where it is measured to be faster; the measurement leaves no trace in the run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils._pytree import tree_flatten

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.models import EDSR
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import ChannelsLast
from sr_lightning.training.callbacks.channels_last import _follow, arrange
from sr_lightning.training.fitting import fit

QUICK = (
    "model=edsr_small", "model.num_features=4", "model.num_blocks=1", "model.norm=batch", "trainer=cpu",
    "trainer.precision=float32", "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false", "logger=none",
    "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24", "max_minutes=null",
)  # fmt: skip


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty memory of measurements."""
    monkeypatch.setenv("SR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "measured"


def clock(contiguous: float, channels_last: float) -> Iterator[float]:
    """Times at which steps begin and end that take so long, after the time at which the measurement begins."""
    now = 0.0
    yield now
    for turn in range(99):
        if turn > 1:
            yield now  # is there time for another round?
        for step in (contiguous, channels_last):
            yield now
            now += step
            yield now


def fitted(folder: Path, *typed: str, times: tuple[float, float] = (1.0, 1.0), ckpt_path: Path | None = None) -> Any:
    cfg = compose("train", [*QUICK, f"run_dir={folder}", *typed])
    prepare_run(cfg)
    trainer, model = build_trainer(cfg, folder), build_model(cfg)
    callback = next(c for c in trainer.callbacks if isinstance(c, ChannelsLast))
    passed = clock(*times)
    callback._clock = lambda: next(passed)
    fit(trainer, model, build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)
    return model


def is_channels_last(model: Any) -> bool:
    return bool(model.net.body[0].body[0].weight.is_contiguous(memory_format=torch.channels_last))


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def equal(a: Any, b: Any) -> bool:
    """To the bit, in all that the dictionaries and lists hold."""
    (ours, names), (theirs, others) = tree_flatten(a), tree_flatten(b)
    pairs = zip(ours, theirs, strict=True)
    return names == others and all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in pairs)


@pytest.mark.parametrize(("times", "chosen"), [((1.0, 0.5), True), ((0.97, 1.0), True), ((0.9, 1.0), False)])
def test_the_faster_layout_is_taken(times: tuple[float, float], chosen: bool, tmp_path: Path, capsys: Any) -> None:
    assert is_channels_last(fitted(tmp_path / "run", "epochs=1", times=times)) is chosen
    line = capsys.readouterr().err.splitlines()[0]
    first = "channels last" if chosen else "contiguous"
    assert line.startswith(f"memory layout: {first} {times[chosen] * 1e3:,.0f} ms, ")


@pytest.mark.parametrize(("times", "when"), [((1.0, 0.5), "always"), ((0.5, 1.0), "never")])
def test_the_measurement_leaves_no_trace(times: tuple[float, float], when: str, tmp_path: Path) -> None:
    """To the bit: weights, moments, statistics of normalisation, random state."""
    fitted(tmp_path / "auto", "epochs=1", times=times)
    fitted(tmp_path / "typed", "epochs=1", f"callbacks.channels_last.when={when}")
    ours, typed = state(tmp_path / "auto"), state(tmp_path / "typed")
    for part in ("state_dict", "optimizer_states", "loops"):
        assert equal(ours[part], typed[part]), part
    assert equal(ours["callbacks"]["RandomState"], typed["callbacks"]["RandomState"])


def test_it_is_measured_once(tmp_path: Path, memory: Path) -> None:
    fitted(tmp_path / "first", "epochs=1", times=(0.5, 1.0))
    assert len([*memory.iterdir()]) == 1
    assert not is_channels_last(fitted(tmp_path / "second", "epochs=1", times=(1.0, 0.5)))
    assert is_channels_last(fitted(tmp_path / "other", "epochs=1", "data.batch_size=1", times=(1.0, 0.5)))


@pytest.mark.parametrize("times", [(0.5, 1.0), (1.0, 0.5)])
def test_a_resumed_run_keeps_its_layout(times: tuple[float, float], tmp_path: Path, memory: Path) -> None:
    fitted(tmp_path / "whole", "epochs=2", "scheduler=none", times=times)
    fitted(tmp_path / "half", "epochs=1", "scheduler=none", times=times)
    for file in memory.iterdir():  # on another machine
        file.unlink()
    rest = tmp_path / "half/checkpoints/last.ckpt"
    fitted(tmp_path / "rest", "epochs=2", "scheduler=none", times=times[::-1], ckpt_path=rest)
    assert not [*memory.iterdir()]
    for part in ("state_dict", "optimizer_states"):
        assert equal(state(tmp_path / "whole")[part], state(tmp_path / "rest")[part]), part


def test_a_slow_network_is_measured_for_a_short_time(tmp_path: Path) -> None:
    callback, model = ChannelsLast(), EDSR(num_features=4, num_blocks=1)
    passed, looks = clock(60.0, 60.0), []
    callback._clock = lambda: looks.append(next(passed)) or looks[-1]  # type: ignore[func-returns-value]
    batch = {"lr": torch.rand(1, 3, 8, 8), "hr": torch.rand(1, 3, 16, 16)}
    callback._measure(Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path), model, batch)
    assert looks[-1] == 240.0  # two rounds
    assert all(parameter.grad is None for parameter in model.parameters())


def test_convolutions_are_channels_last_and_buffers_are_not(tmp_path: Path) -> None:
    model = EDSR(num_features=4, num_blocks=1)
    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    ChannelsLast(when="always").setup(trainer, model, "fit")
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.dim() == 4)
    assert model.net.shift.mean.stride() == (3, 1, 1, 1)


def test_another_word() -> None:
    with pytest.raises(ConfigError, match=r"^callbacks.channels_last.when=soon: must be auto, always or never$"):
        ChannelsLast(when="soon")  # type: ignore[arg-type]


def test_moments_follow_the_layout_of_their_weights() -> None:
    """Fused Adam pairs numbers as they lie in memory: moments of another layout would be those of other weights."""
    layer = torch.nn.Conv2d(4, 4, 3)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.rand(1, 4, 5, 5)).sum().backward()
    optimizer.step()
    moment = optimizer.state[layer.weight]["exp_avg"].clone()
    arrange(layer, channels_last=True)
    _follow(optimizer)
    followed = optimizer.state[layer.weight]["exp_avg"]
    assert followed.stride() == layer.weight.stride() != moment.stride() and torch.equal(followed, moment)
