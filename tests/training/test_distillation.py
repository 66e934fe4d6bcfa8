"""A network imitates its teacher, whose weights neither change nor are saved."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from running import run_here
from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.models import EDSR, ESPCN, LIIF, RCAN, SPAN, SuperResolutionModule, SwinIR
from sr_lightning.training.distillation import Distillation, affinity, distil

SMALL: dict[str, Any] = {"scale": 2, "num_features": 8, "num_blocks": 2}


def step(model: SuperResolutionModule, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The logged terms of one training step."""
    logged: dict[str, torch.Tensor] = {}
    model.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign, assignment]
    model.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    logged["total"] = model.train().training_step(batch, 0)  # type: ignore[arg-type]
    return logged


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"lr": torch.rand(2, 3, 12, 9), "hr": torch.rand(2, 3, 24, 18)}


def test_the_picture_of_the_teacher_is_a_term() -> None:
    student, teacher, given = EDSR(**SMALL), EDSR(**SMALL, value_range=1.0), batch()
    before = copy.deepcopy(teacher.state_dict())
    Distillation(picture=0.5).attach(student, teacher)
    terms = step(student, given)
    with torch.no_grad():
        expected = 0.5 * F.l1_loss(student(given["lr"]), teacher(given["lr"]))
        truth = F.l1_loss(student(given["lr"]), given["hr"])
    torch.testing.assert_close(terms["train/teacher"], expected)
    torch.testing.assert_close(terms["train/truth"], truth)
    torch.testing.assert_close(terms["train/loss"], terms["train/truth"] + terms["train/teacher"])
    terms["total"].backward()
    assert all(p.grad is not None for p in student.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(teacher.state_dict()[name], value) for name, value in before.items())
    assert not any("teacher" in name for name in student.state_dict())


def test_features_may_have_other_widths() -> None:
    student, teacher, given = EDSR(**SMALL), EDSR(scale=2, num_features=16, num_blocks=3), batch()
    Distillation(picture=0.0, features={"body.0": "body.1"}, features_weight=2.0).attach(student, teacher)
    terms = step(student, given)
    assert "train/teacher" not in terms
    seen = {}
    for name, layer in (("ours", student.net.body[0]), ("theirs", teacher.net.body[1])):  # type: ignore[index, union-attr]
        layer.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: output}))
    with torch.no_grad():
        student(given["lr"]), teacher(given["lr"])
    distance = 2 * F.l1_loss(affinity(seen["ours"]), affinity(seen["theirs"]))
    torch.testing.assert_close(terms["train/features"], distance)
    same = EDSR(**SMALL)
    Distillation(features={"body.0": "body.0"}).attach(same, copy.deepcopy(same))
    terms = step(same, given)
    assert terms["train/teacher"] == terms["train/features"] == 0


def test_what_does_not_fit_is_told() -> None:
    student = EDSR(**SMALL)
    with pytest.raises(ConfigError, match=r"teacher: EDSR enlarges by 3, and EDSR by 2; they must agree"):
        Distillation().attach(student, EDSR(scale=3, num_features=8, num_blocks=1))
    with pytest.raises(ConfigError, match=r"teacher: EDSR takes RGB, and ESPCN luma alone"):
        Distillation().attach(ESPCN(scale=2), student)
    with pytest.raises(ConfigError, match=r"distillation.features: EDSR has no layer 'bodi'; did you mean 'body'"):
        Distillation(features={"bodi": "body"}).attach(student, RCAN(scale=2, num_features=8, num_groups=1))
    with pytest.raises(ConfigError, match=r"nothing of the teacher has a weight"):
        Distillation(picture=0)
    with pytest.raises(ConfigError, match=r"distillation.picture=-1"):
        Distillation(picture=-1)
    with pytest.raises(ConfigError, match=r"^distillation.features=3: must be"):
        Distillation(features=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("nowhere.pth", "teacher=nowhere.pth: "),
        ("span", "teacher=span: span is shipped for scale 2, 3, 4, but not for 8"),
    ],
)
def test_a_teacher_that_cannot_be_had(teacher: str, said: str) -> None:
    cfg = compose("train", [f"teacher={teacher}", "scale=8"])
    with pytest.raises(SRError, match=f"^{said}"):
        distil(cfg, EDSR(**{**SMALL, "scale": 8}))


def test_a_run_with_a_teacher(tmp_path: Path) -> None:
    common = [
        "model=edsr_small", "model.num_features=8", "model.num_blocks=1", "trainer=debug", "logger=csv",
        "trainer.log_every_n_steps=1", "callbacks=[default,ema]", f"run_dir={tmp_path}/run", "data.batch_size=2",
    ]  # fmt: skip
    done = run_here("train", *common, "teacher=span", "distillation.picture=0.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = next(tmp_path.rglob("metrics.csv")).read_text().partition("\n")[0]
    assert {"train/teacher", "train/truth", "train/loss"} <= {*metrics.split(",")}
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert saved["state_dict"].keys() == EDSR(scale=2, num_features=8, num_blocks=1).state_dict().keys()
    done = run_here("train", *common, "teacher=nowhere.pth", cwd=tmp_path)
    assert done.returncode and "teacher=nowhere.pth" in done.stderr


def test_features_of_attention_are_taken_as_they_lie() -> None:
    """Blocks of a network with attention give ``(N, H, W, C)``, its convolutions ``(N, C, H, W)``."""
    windows: dict[str, Any] = {"num_features": 12, "num_groups": 1, "num_blocks": 2, "num_heads": 3, "window": 4}
    windows["drop_path"] = 0.0
    teacher, given = SwinIR(scale=2, **windows), {"lr": torch.rand(2, 3, 12, 8), "hr": torch.rand(2, 3, 24, 16)}
    same = copy.deepcopy(teacher).train()
    Distillation(features={"body.groups.0.blocks.1": "body.groups.0.blocks.1"}).attach(same, teacher)
    assert step(same, given)["train/features"] < 1e-6
    student = EDSR(**SMALL)
    pairs = {"body.0": "body.groups.0.blocks.0", "body.1": "body.groups.0.conv"}
    Distillation(features=pairs).attach(student, teacher)
    assert step(student, given)["train/features"] > 0


def test_what_has_no_features_or_trains_its_own_way() -> None:
    student = EDSR(**SMALL)
    Distillation(features={"body.0": "blocks"}).attach(student, SPAN(scale=2, num_features=8))
    with pytest.raises(ConfigError, match=r"distillation.features.body.0: blocks computes nothing by itself"):
        step(student, batch())
    with pytest.raises(ConfigError, match="LIIF trains in a way of its own"):
        Distillation().attach(LIIF(trunk_args={"num_blocks": 1, "num_features": 8}), EDSR(**SMALL))


def test_several_scales_have_no_teacher(tmp_path: Path) -> None:
    typed = ["model=carn", "model.scales=[2,3]", "data.scales=[2,3]", "data.patch_size=48", "teacher=span"]
    done = run_here("train", *typed, "trainer=debug", f"run_dir={tmp_path}/run", cwd=tmp_path)
    assert done.returncode and "teacher: has one scale, and data.scales trains several" in done.stderr
