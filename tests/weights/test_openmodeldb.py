"""OpenModelDB's card of an exported network."""

import hashlib
import json
from pathlib import Path

import pytest

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.export import export


def test_a_card_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = export(compose("export", ["model=span", "scale=3", "format=spandrel", "openmodeldb=some-one"]))
    card = json.loads(file.with_suffix(".json").read_text())
    assert (card["author"], card["architecture"], card["scale"], card["size"]) == (
        "some-one",
        "span",
        3,
        ["28nf", "6nb"],
    )
    assert card["inputChannels"] == card["outputChannels"] == 3 and card["license"] is None and card["tags"] == []
    (resource,) = card["resources"]
    content = file.read_bytes()
    assert (resource["platform"], resource["size"]) == ("pytorch", len(content))
    assert resource["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("openmodeldb=some one", "must be your name there"),
        ("format=pt2", "lists files of format=spandrel and format=onnx"),
    ],
)
def test_what_it_does_not_list(typed: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        export(compose("export", ["model=espcn", "format=onnx", "openmodeldb=me", typed]))
    assert not list(tmp_path.iterdir())
