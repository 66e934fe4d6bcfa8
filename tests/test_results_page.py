"""docs/results.md has the numbers that the committed results of runs have, and only of today's settings."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from PIL import Image

from sr_lightning.errors import DataError, SRError

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of ``benchmarks/`` anew, whose neighbours are found by their bare names."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_the_page_has_the_committed_numbers(script: Any) -> None:
    results = script("results")
    page = results.PAGE.read_text()
    assert results.page(page) == page, "type python benchmarks/results.py"


def test_commands_begin_with_weights_that_a_command_leaves(script: Any) -> None:
    page = script("results").PAGE.read_text()
    begun = {*re.findall(r"init_from=(\S+)/checkpoints/", page)}
    assert begun and begun <= {*re.findall(r"run_dir=(\S+)", page)}


def test_runs_of_other_settings_are_no_seeds_of_one(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results = script("results")
    run = {"name": "espcn_x2_seed1", **json.loads((SCRIPTS / "results/espcn_x2_seed1.json").read_text())}
    other = {**run, "seed": 2, "command": run["command"].replace("seed=1", "seed=2")}
    monkeypatch.setattr(results, "runs", lambda: [run, other])
    assert "| 2     | " in results.collection_table()
    other["command"] += " optimizer.lr=1"
    with pytest.raises(SystemExit, match=r"^espcn x2: runs of other settings"):
        results.collection_table()


def write_run(folder: Path, typed: list[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"overrides": typed}))
    (folder / "results.json").write_text('{"sets": {}}')


def test_a_run_of_other_settings_is_trained_anew(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = script("tables")
    monkeypatch.setattr(tables, "RUNS", tmp_path)
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    begun: list[list[str]] = []
    monkeypatch.setattr(tables.subprocess, "run", lambda argv, check: begun.append(argv))
    name = "drcn_x2_seed1"
    today = tables.LARGER[name]
    write_run(tmp_path / name, today)
    tables.train(name)
    assert not begun and tables.is_trained(tmp_path / name, today)

    shutil.rmtree(tmp_path / name)
    write_run(tmp_path / name, [*today[:-1], "epochs=1"])
    tables.collect(name)
    assert not (tmp_path / "results").exists(), "its numbers are not those of today's command"
    tables.train(name)
    assert [f"run_dir={tmp_path / name}" in argv for argv in begun] == [True]
    assert not (tmp_path / name).exists() and (tmp_path / f"{name}_before/results.json").is_file()


def test_ablations_of_other_settings_or_lengths_do_not_count(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablations = script("ablations")
    today = {**ablations.as_today(ablations.BASE), "seed": 1, "sets": {}}
    monkeypatch.setattr(ablations, "RESULTS", tmp_path / "ablations.json")
    monkeypatch.setattr(ablations, "RUNS", tmp_path)
    for run, counts in [
        (today, True),
        ({**today, "updates": today["updates"] + 1}, False),
        ({**today, "typed": "optimizer=sgd"}, False),
        ({**today, "setting": "a setting of last year"}, False),
    ]:
        (tmp_path / "ablations.json").write_text(json.dumps({"runs": [run]}))
        assert bool(ablations.known()) is counts


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "say one of train, noise"),
        (["draw"], "say one of train, noise"),
        (["train", "vsdr"], "vsdr: there is no such name; there are vdsr_seed1"),
        (["noise", "vdsr"], "vdsr: noise takes no names; leave it out"),
        (["train", "vdsr"], "error: no data"),
    ],
)
def test_what_a_script_cannot_do_ends_with_a_sentence(
    script: Any, monkeypatch: pytest.MonkeyPatch, typed: list[str], said: str
) -> None:
    def train(*names: str) -> None:
        raise DataError("no data")

    monkeypatch.setattr(sys, "argv", ["tables.py", *typed])
    with pytest.raises(SystemExit) as end:
        script("scores").act({"train": train, "noise": lambda: None}, ["vdsr_seed1"], str.startswith)
    assert end.value.code == said


def test_half_a_file_of_results_is_named(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = script("tables")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    file = tmp_path / "vdsr_seed1.json"
    assert not tables.has_scores("vdsr_seed1")
    for content in ('{"command": "pyth', "[]", ""):
        file.write_text(content)
        with pytest.raises(SRError, match=r"vdsr_seed1\.json: is not whole JSON"):
            tables.has_scores("vdsr_seed1")
    file.write_text("{}")
    assert not tables.has_scores("vdsr_seed1")


def test_a_page_without_any_results(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = script("results")
    page = results.PAGE.read_text()
    monkeypatch.setattr(results, "HERE", tmp_path)
    assert results.page(page).count("Not measured yet") == 4
    (tmp_path / "ablations.json").write_text('{"base": "a", "groups": {"b": ["a"]}, "runs": []}')
    assert results.page(page).count("Not measured yet") == 4


def test_pictures_that_were_stopped_half_way_are_no_folder(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training would take half of them for all."""
    pretrained = script("pretrained")
    for name in ("BSD200", "BSDS500_test"):
        (tmp_path / name).mkdir()
        for number in range(21):
            Image.new("RGB", (20, 20)).save(tmp_path / f"{name}/{number:02}.png")
    monkeypatch.setattr(pretrained, "DATA", str(tmp_path))
    monkeypatch.setattr(pretrained, "RUNS", tmp_path / "runs")
    write = pretrained.write_picture

    def killed(path: Path, pixels: Any) -> None:
        if path.name == "05_0.5.png":
            raise KeyboardInterrupt
        write(path, pixels)

    monkeypatch.setattr(pretrained, "write_picture", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrained.make_smaller()
    assert not (tmp_path / "runs/smaller").exists()
    monkeypatch.setattr(pretrained, "write_picture", write)
    pretrained.make_smaller()
    assert len(list((tmp_path / "runs/smaller").iterdir())) == 63
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["smaller"]
