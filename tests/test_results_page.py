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
