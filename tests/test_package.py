"""The wheel holds the package and its configs and nothing else, and works far from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sr_lightning.config import compose
from sr_lightning.training.building import build_model

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    """The output of a command, which must succeed; ``path`` comes before an editable installation."""
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which thereby is known to be whole."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), str(wheel), cwd=folder)
    return folder


def test_the_wheel_holds_the_package_and_its_configs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {Path(name).name for name in archive.namelist() if ".dist-info/" in name}
    source, conf = ROOT / "src", ROOT / "conf"
    modules = {
        path.relative_to(source).as_posix()
        for kind in ("*.py", "*.css", "*.html", "*.js")
        for path in source.rglob(kind)
    }
    configs = {f"sr_lightning/conf/{path.relative_to(conf).as_posix()}" for path in conf.rglob("*.yaml")}
    files = (*source.glob("sr_lightning/weights/shipped/*.*"), *source.glob("sr_lightning/metrics/niqe_parameters.*"))
    numbers = {path.relative_to(source).as_posix() for path in files}
    assert names == modules | configs | numbers | {"sr_lightning/py.typed"}
    assert metadata == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


COMPOSE_COMMANDS = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
import sr_lightning
from sr_lightning.config import CONF_DIR, compose

home = Path(sys.argv[1])
assert Path(sr_lightning.__file__).is_relative_to(home), sr_lightning.__file__
assert CONF_DIR.is_relative_to(home), CONF_DIR

for command in sorted(path.stem for path in CONF_DIR.glob("*.yaml")):
    print(command, end=" ")
    try:
        OmegaConf.to_container(compose(command, []), resolve=True)
        print()
    except Exception as error:
        print("failed:", error)
"""


def test_every_config_is_in_the_wheel_and_each_command_composes(installed: Path, tmp_path: Path) -> None:
    """That every option composes is tested from the source; here, that the files are the same."""
    lines = run(sys.executable, "-c", COMPOSE_COMMANDS, str(installed), cwd=tmp_path, path=installed).splitlines()
    failed = [line for line in lines if "failed:" in line]
    assert not failed, "\n".join(failed)
    assert {path.stem for path in (ROOT / "conf").glob("*.yaml")} <= {word for line in lines for word in line.split()}
    there = next(path for path in installed.rglob("train.yaml")).parent
    source = {path.relative_to(ROOT / "conf"): path.read_bytes() for path in (ROOT / "conf").rglob("*.yaml")}
    assert source == {path.relative_to(there): path.read_bytes() for path in there.rglob("*.yaml")}


MINE = """
from torch import nn
from sr_lightning.models import SuperResolutionModule

class Mine(SuperResolutionModule):
    def __init__(self, scale: int = 2, **recipe):
        net = nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        super().__init__(net, scale=scale, **recipe)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's own folder: a network and its config, and nothing of ours."""
    (tmp_path / "my_network.py").write_text(MINE)
    (tmp_path / "my_conf" / "model").mkdir(parents=True)
    (tmp_path / "my_conf" / "model" / "mine.yaml").write_text("_target_: my_network.Mine\nscale: ${scale}\n")
    return tmp_path


def test_a_users_own_config_folder_is_found(installed: Path, mine: Path) -> None:
    train = (sys.executable, "-m", "sr_lightning.train", "--config-dir", "my_conf", "model=mine", "scale=3")
    assert "_target_: my_network.Mine" in run(*train, "--cfg", "job", cwd=mine, path=installed)


def test_a_users_own_network_is_built(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(mine)
    model = build_model(compose("train", [f"hydra.searchpath=[file://{mine / 'my_conf'}]", "model=mine", "scale=3"]))
    assert type(model).__name__ == "Mine"
    assert model.scale == 3
    assert model.protocol.name == "y_rgb8"
