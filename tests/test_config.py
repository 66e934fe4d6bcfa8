"""What is typed, as Hydra reads it."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sr_lightning.config import _with_quoted_paths, compose
from sr_lightning.errors import ConfigError


@pytest.mark.parametrize(
    "name",
    ["a,b.png", "a=b.png", "a[1].png", "(a).png", "it's.png", 'say "x".png', "#h.png", "a b.png", "back\\", "{c}.png"],
)
def test_names_of_files_need_no_quotes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    (typed,) = _with_quoted_paths([f"input={path}"])
    assert OverridesParser.create().parse_override(typed).value() == str(path)
    assert compose("upscale", [typed]).input == str(path)
    assert _with_quoted_paths([typed]) == [typed]


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    sweep = [f"input={tmp_path}/a.png,{tmp_path}/b.png", "model=rdn", "data.weights=[3,1]"]
    assert _with_quoted_paths(sweep) == sweep


def test_a_comma_is_explained() -> None:
    with pytest.raises(ConfigError, match="a comma makes several runs, with -m"):
        compose("upscale", ["input=a.png,b.png"])
