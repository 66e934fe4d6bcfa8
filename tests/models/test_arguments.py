"""A network declares its arguments once, and its constructor, hyperparameters and type checkers read them there."""

import inspect
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from mypy import api
from omegaconf import OmegaConf
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.models import DRCN, EDSR, GLEAN, RDN, SPAN, LapSRN, SuperResolutionModule
from sr_lightning.models.arguments import network

ROOT = Path(__file__).parents[2]


@network
class Wide(SuperResolutionModule):
    """One convolution."""

    multi_scale = False
    scale: int = 2
    kernel_size: int = 3

    def build_net(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 3 * self.scale**2, self.kernel_size, padding=self.kernel_size // 2),
            nn.PixelShuffle(self.scale),
        )


@network
class Wider(Wide):
    """The same, and an argument more."""

    dilation: int

    def training_losses(self, batch: Any) -> dict[str, Tensor]:
        return {"loss": self.dilation * super().training_losses(batch)["loss"]}


def test_the_signature_has_every_argument_once() -> None:
    parameters = inspect.signature(Wider.__init__).parameters
    assert list(parameters) == ["self", "dilation", "scale", "kernel_size", "recipe"]
    assert {parameters[name].kind for name in ("dilation", "scale", "kernel_size")} == {inspect.Parameter.KEYWORD_ONLY}
    assert parameters["kernel_size"].default == 3 and parameters["kernel_size"].annotation is int
    assert list(inspect.signature(GLEAN).parameters)[-3:] == ["gan", "gan_weight", "recipe"]


def test_arguments_become_attributes_and_hyperparameters() -> None:
    model = Wider(dilation=4, loss=nn.MSELoss())
    assert (model.scale, model.kernel_size, model.dilation) == (2, 3, 4)
    assert dict(model.hparams) == {"dilation": 4, "scale": 2, "kernel_size": 3}
    assert isinstance(model.loss, nn.MSELoss)


def test_a_class_does_not_share_arguments_with_its_sibling() -> None:
    assert "dilation" not in inspect.signature(Wide).parameters
    assert RDN(scale=2, num_features=8, num_blocks=1).scale == 2 and RDN.scale == 2


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: RDN(num_feature=8), "RDN has no argument num_feature; did you mean 'num_features'?"),
        (lambda: RDN(2), r"RDN.__init__\(\) takes 1 positional argument but 2 were given"),
        (lambda: Wider(), "Wider needs the argument dilation"),
        (lambda: LapSRN(los=nn.L1Loss()), "LapSRN has no argument los"),
    ],
)
def test_a_wrong_call_is_explained(make: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        make()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: SPAN(branches="yess"), "SPAN: branches=yess: must be true or false"),
        (lambda: DRCN(alpha_epochs=-1), "DRCN: alpha_epochs=-1: must be a whole number of 0 or more"),
        (lambda: DRCN(alpha_epochs=math.nan), "DRCN: alpha_epochs=nan: must be a whole number of 0 or more"),
    ],
)
def test_a_value_that_cannot_be_is_explained(make: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{reason}$"):
        make()


def test_a_net_that_keeps_its_arguments_is_refused() -> None:
    class Keeps(nn.Module):
        def __init__(self, args: nn.Module) -> None:
            super().__init__()
            self.args = args

    @network
    class Endless(SuperResolutionModule):
        scale: int = 2

        def build_net(self) -> nn.Module:
            return Keeps(self)

    with pytest.raises(TypeError, match="Keeps keeps its args"):
        Endless()


def test_the_example_in_contributing_is_a_network() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code, config = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "yaml"))
    assert code and config
    space: dict[str, Any] = {"__name__": "foo"}
    exec(code[1], space)
    arguments = {**OmegaConf.to_container(OmegaConf.create(config[1])), "scale": 3}
    assert arguments.pop("_target_") == "sr_lightning.models.foo.Foo"
    model = space["Foo"](**arguments)
    assert dict(model.hparams) == arguments == {**dict(space["Foo"]().hparams), "scale": 3}
    assert model(torch.rand(1, 3, 5, 4)).shape == (1, 3, 15, 12)


def test_a_checkpoint_of_the_former_constructors_loads(tmp_path: Path) -> None:
    """They recorded the arguments in another order, under the name ``kwargs``."""
    model = EDSR(num_features=8, num_blocks=1)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "new.ckpt")
    former = torch.load(tmp_path / "new.ckpt", weights_only=True)
    former["hyper_parameters"] = dict(reversed(former["hyper_parameters"].items()))
    former["hparams_name"] = "kwargs"
    torch.save(former, tmp_path / "former.ckpt")
    for file in ("new.ckpt", "former.ckpt"):
        again = EDSR.load_from_checkpoint(tmp_path / file)
        assert again.num_blocks == 1 and dict(again.hparams) == dict(model.hparams)
        assert torch.equal(again.net.head.weight, model.net.head.weight)


USER_CODE = """
from torch import nn
from sr_lightning.models.rdn import RDN
reveal_type(RDN(scale=2, num_features=32, loss=nn.MSELoss()).num_features)
RDN(num_feature=32)
RDN(scale="2")
"""


def test_type_checkers_know_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user, lightning = tmp_path / "user.py", tmp_path / "lightning" / "pytorch" / "__init__.pyi"
    user.write_text(USER_CODE)
    # Instead of the real packages, which take mypy a minute.
    lightning.parent.mkdir(parents=True)
    lightning.write_text("class LightningModule: ...\n")
    models = [
        ROOT / "src" / "sr_lightning" / "models" / f"{name}.py" for name in ("rdn", "base", "foundation", "arguments")
    ]
    monkeypatch.setenv("MYPYPATH", f"{ROOT / 'src'}:{tmp_path}")
    options = ["--config-file=", "--explicit-package-bases", "--follow-imports=skip", f"--cache-dir={tmp_path}"]
    output = api.run([*options, *map(str, [user, lightning, *models])])[0]
    found = [line.split(" ", 1)[1] for line in output.splitlines() if "user.py" in line and "defined in" not in line]
    assert found == [
        'note: Revealed type is "int"',
        'error: Unexpected keyword argument "num_feature" for "RDN"; did you mean "num_features"?  [call-arg]',
        'error: Argument "scale" to "RDN" has incompatible type "str"; expected "int"  [arg-type]',
    ]


def test_arguments_that_checkpoints_would_lack_are_refused() -> None:
    class Own(RDN):
        def __init__(self, *, extra: int = 1, **rest: Any) -> None:
            super().__init__(**rest)
            self.extra = extra

    with pytest.raises(TypeError, match=r"Own: checkpoints would lack the arguments of its constructor \(extra\)"):
        Own(scale=2, num_features=4, growth_rate=4, num_blocks=1, num_layers=1)


@pytest.mark.parametrize(
    ("body", "words"),
    [({"layers": list}, "would share this default"), ({"loss": object}, "a part of the recipe")],
)
def test_declarations_that_cannot_work_are_refused(body: dict[str, Any], words: str) -> None:
    namespace = {**{name: kind() for name, kind in body.items()}, "__annotations__": body}
    with pytest.raises(TypeError, match=words):
        network(type("Own", (RDN,), namespace))


def test_class_variables_are_no_arguments_as_text_either() -> None:
    own = network(type("Own", (RDN,), {"__annotations__": {"kinds": "ClassVar[int]"}, "kinds": 3}))
    assert "kinds" not in inspect.signature(own.__init__).parameters
