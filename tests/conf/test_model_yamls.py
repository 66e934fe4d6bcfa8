"""Files in conf/model: one for each class has the defaults of its signature, the others hold what differs from it."""

import inspect
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from sr_lightning.config import CONF_DIR
from sr_lightning.types import Recipe

FILES: dict[str, Any] = {
    path.stem: OmegaConf.to_container(OmegaConf.load(path)) for path in sorted((CONF_DIR / "model").glob("*.yaml"))
}
#: But for ``auto``, which is no network.
MAIN = {name: file for name, file in FILES.items() if "_target_" in file and name != "auto"}
#: But for ``realesrgan``, whose weights alone are another's.
VARIANTS = {name: file for name, file in FILES.items() if "_target_" not in file and name != "realesrgan"}


def test_each_class_has_one_main_file() -> None:
    targets = [file["_target_"] for file in MAIN.values()]
    assert sorted(targets) == sorted(set(targets))


@pytest.mark.parametrize("name", MAIN)
def test_the_main_file_has_the_defaults_of_the_signature(name: str) -> None:
    arguments = inspect.signature(get_class(MAIN[name]["_target_"])).parameters.values()
    defaults = {
        argument.name: argument.default
        for argument in arguments
        if argument.kind != argument.VAR_KEYWORD and argument.name not in Recipe.__annotations__
    }
    # Through OmegaConf tuples become lists, as in a file.
    expected = OmegaConf.to_container(OmegaConf.create({**defaults, "scale": "${scale}"}))
    assert {key: alone(value) for key, value in MAIN[name].items() if key != "_target_"} == expected


def alone(value: Any) -> Any:
    """What a value is without data to take it from."""
    taken = isinstance(value, str) and value.startswith("${oc.select:data.")
    return value.rpartition(",")[2].rstrip("}") if taken else value


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_holds_only_what_differs(name: str) -> None:
    variant = dict(VARIANTS[name])
    (main,) = variant.pop("defaults")
    assert variant and variant.keys() <= MAIN[main].keys()
    assert not [key for key, value in variant.items() if value == MAIN[main][key]]
