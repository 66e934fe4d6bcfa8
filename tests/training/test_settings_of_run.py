"""What a resumed run takes over from the folder of the run before, and what it refuses."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from sr_lightning.config import compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.training.resume import with_settings_of_run

TYPED = [
    "model=espcn", "scheduler=multistep", "scheduler.milestones=[5,9]", "optimizer.lr=0.1", "data=mixture",
    "+data@data.sets.a=samples", "data.patch_size=32", "+trainer.detect_anomaly=false", "name=mine", "epochs=3",
]  # fmt: skip
OWN = ["init_from=x2.ckpt", "ckpt_path=older.ckpt", "run_dir=there"]
HERE = "ckpt_path=run/checkpoints/last.ckpt"


def write_settings(folder: Path, *overrides: str) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints/last.ckpt").touch()
    OmegaConf.save(compose("train", overrides), folder / "config.yaml", resolve=True)


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder in the folder of the user."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path / "run", *TYPED, *OWN)
    return tmp_path / "run"


def without(*dropped: str) -> list[str]:
    return [o for o in TYPED if o not in dropped]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([HERE], [*TYPED, HERE]),
        (["--cfg", "job", HERE], ["--cfg", "job", *TYPED, HERE]),
        ([HERE, "optimizer.lr=1"], [*without("optimizer.lr=0.1"), HERE, "optimizer.lr=1"]),
        ([HERE, "scheduler.milestones=[7]"], [*without(TYPED[2]), HERE, "scheduler.milestones=[7]"]),
        # Another choice drops what the run had below it; the same choice does not.
        ([HERE, "scheduler=cosine"], [*without(*TYPED[1:3]), HERE, "scheduler=cosine"]),
        ([HERE, "scheduler=multistep"], [*without("scheduler=multistep"), HERE, "scheduler=multistep"]),
        (
            [HERE, "data=samples"],
            [*without(*TYPED[4:7]), "max_minutes=null", "learning_rate=0.0001", HERE, "data=samples"],
        ),
        *(
            ([HERE, f"{plus}data@data.sets.a=t91"], [*without(TYPED[5]), HERE, "+data@data.sets.a=t91"])
            for plus in ("", "+")
        ),
        ([HERE, "trainer.detect_anomaly=true"], [*without(TYPED[7]), HERE, "+trainer.detect_anomaly=true"]),
        ([HERE, "~trainer.detect_anomaly"], [*TYPED, HERE, "~trainer.detect_anomaly"]),
        ([HERE, "experiment=fsrcnn_t91_x2"], [HERE, "experiment=fsrcnn_t91_x2"]),
        (["-m", HERE], ["-m", HERE]),
        (["ckpt_path=run/checkpoints/none.ckpt"], ["ckpt_path=run/checkpoints/none.ckpt"]),
        (["ckpt_path=null"], ["ckpt_path=null"]),
        (["model=rdn"], ["model=rdn"]),
    ],
)
def test_what_is_typed_goes_before_what_the_run_had(typed: list[str], expected: list[str], run_folder: Path) -> None:
    assert with_settings_of_run(typed) == expected
    assert with_settings_of_run(expected) == expected  # processes of DDP type it again


def test_what_is_taken_over_and_what_is_changed_is_said(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_settings_of_run([HERE, "optimizer.lr=0.2", "scheduler=cosine"])
    kept = " ".join(without("optimizer.lr=0.1", *TYPED[1:3]))
    assert capsys.readouterr().err == (
        f"resuming run with its settings: {kept}; "
        "changed: optimizer.lr=0.2 (was 0.1) scheduler=cosine (was multistep); "
        "dropped: scheduler.milestones=[5,9]; new results go to a new folder\n"
    )


@pytest.mark.parametrize("where", ["copied/checkpoints/last.ckpt", "flat/last.ckpt"])
def test_settings_are_found_wherever_the_folder_is(where: str, run_folder: Path) -> None:
    path = run_folder.parent / where
    path.parent.mkdir(parents=True)
    shutil.copy(run_folder / "checkpoints/last.ckpt", path)
    shutil.copy(run_folder / "config.yaml", run_folder.parent / where.split("/")[0])
    assert with_settings_of_run([f"ckpt_path={path}"]) == [*TYPED, f"ckpt_path={path}"]


def test_checkpoints_set_aside_have_the_settings_set_aside_with_them(run_folder: Path) -> None:
    (run_folder / "checkpoints").rename(run_folder / "checkpoints.1")
    here = "ckpt_path=run/checkpoints.1/last.ckpt"
    with pytest.raises(CheckpointError, match="its settings are unknown"):
        with_settings_of_run([here])
    (run_folder / "config.yaml").rename(run_folder / "config.1.yaml")
    OmegaConf.save(compose("train", ["model=rdn"]), run_folder / "config.yaml", resolve=True)
    assert with_settings_of_run([here]) == [*TYPED, here]


def test_a_checkpoint_without_settings_is_refused(run_folder: Path) -> None:
    shutil.move(run_folder / "checkpoints/last.ckpt", "last.ckpt")
    with pytest.raises(CheckpointError, match=r"^last\.ckpt: config\.yaml of its run is neither .* type model=, data="):
        with_settings_of_run(["ckpt_path=last.ckpt", "model=espcn"])
    typed = ["ckpt_path=last.ckpt", "model=espcn", "data=samples"]
    assert with_settings_of_run(typed) == typed


def test_values_of_the_run_hold_where_defaults_have_changed(run_folder: Path) -> None:
    """Also what was set in Python, after the config was composed."""
    settings = OmegaConf.load(run_folder / "config.yaml")
    settings.trainer.precision, settings.optimizer.eps, settings.learning_rate = "bf16-true", 1e-6, 0.5
    settings.data.sets.a.augment = False
    OmegaConf.save(settings, run_folder / "config.yaml")
    expected = [
        "learning_rate=0.5",
        "data.sets.a.augment=false",
        'trainer.precision="bf16-true"',
        "optimizer.eps=1e-06",
    ]
    taken = with_settings_of_run([HERE, "optimizer.eps=1"])
    assert sorted(taken) == sorted([*TYPED, *expected[:3], HERE, "optimizer.eps=1"])
    assert sorted(with_settings_of_run([HERE])) == sorted([*TYPED, *expected, HERE])


def test_folders_of_the_environment_hold_while_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SR_DATA", str(tmp_path / "sets"))
    write_settings(tmp_path / "run", "model=espcn", "data=t91")
    monkeypatch.setenv("SR_DATA", str(tmp_path / "elsewhere"))
    assert with_settings_of_run([HERE]) == ["model=espcn", "data=t91", HERE]
    (tmp_path / "sets").mkdir()
    assert with_settings_of_run([HERE]) == ["model=espcn", "data=t91", f'data_dir="{tmp_path}/sets"', HERE]


def test_settings_of_a_release_before_this_one(run_folder: Path) -> None:
    settings = OmegaConf.load(run_folder / "config.yaml")
    notes = settings.pop("overrides")
    OmegaConf.save(settings, run_folder / "config.yaml")
    with pytest.raises(CheckpointError, match=r"run/config\.yaml: does not say what was typed for its run; type all"):
        with_settings_of_run([HERE])
    (run_folder / ".hydra").mkdir()
    OmegaConf.save(notes, run_folder / ".hydra/overrides.yaml")
    assert with_settings_of_run([HERE]) == [*TYPED, HERE]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+callbacks.x={_target_: torch.load, f: a.pt, weights_only: false}", "runs code that the configs"),
        ("+callbacks.x._target_=evil.notes.go", "runs code that the configs"),
        ("model._target_=evil.Net", "runs code that the configs"),
        ("+callbacks.x=[{_target_: evil.go}]", "runs code that the configs"),
        ("+callbacks.x=\"${oc.decode:'{_target_: evil.go}'}\"", "reads more than settings"),
        ("+name=${oc.env:HOME}", "reads more than settings"),
        ('+callbacks.x="${oc.${e}:{_target_: evil.go}}"', "reads more than settings"),
        ("+callbacks.x={_target_ : evil.go}", "runs code that the configs"),
        ("+callbacks.x={_target_: [evil.go]}", "runs code that the configs"),
        ("model=../../evil", "is no choice of a config"),
        ("loss=[l1,/evil]", "is no choice of a config"),
    ],
)
def test_code_from_a_folder_does_not_run(override: str, message: str, run_folder: Path) -> None:
    settings = OmegaConf.load(run_folder / "config.yaml")
    OmegaConf.update(settings, "overrides", [*settings.overrides, override])
    OmegaConf.save(settings, run_folder / "config.yaml")
    with pytest.raises((ConfigError, CheckpointError), match=message):
        with_settings_of_run([HERE])


def test_code_in_the_values_does_not_run(run_folder: Path) -> None:
    text = (run_folder / "config.yaml").read_text()
    for old, new in (("sr_lightning.models.espcn.ESPCN", "evil.Net"), ("name: mine", "name: ${oc.env:HOME}")):
        (run_folder / "config.yaml").write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match="if you trust it, type it again"):
            with_settings_of_run([HERE])


@pytest.mark.parametrize(
    "value",
    ["{'_target_ ': evil.go}", "[{'_target_ ': evil.go}]", "[{'a:1,_target_': evil.go}]", "'${oc.${e}:{a: b}}'"],
)
def test_code_that_hydra_alone_would_see_does_not_run(value: str, run_folder: Path) -> None:
    text = (run_folder / "config.yaml").read_text()
    (run_folder / "config.yaml").write_text(text.replace("callbacks:\n", f"callbacks:\n  x: {value}\n"))
    with pytest.raises(ConfigError, match="if you trust it, type it again"):
        with_settings_of_run([HERE])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer", "../../evil", "is no choice of a config"), ("callbacks", ["/evil"], "is no choice of a config"),
        ("model", None, "is no choice of a config"), ("data", 4, "is no choice of a config"),
        ("", 1, "is no choice of a config"), ("optimizer@x", "../../evil", "is no choice of a config"),
        ("+run_dir", "/elsewhere", "is no setting"), ("+hydra.run.dir", "/elsewhere", "is no setting"),
        ("name", "${no.key}", "not found"), ("name", "${name}", "Recursive"),
    ],
)  # fmt: skip
def test_keys_that_hydra_would_read_otherwise_are_refused(key: str, value: Any, message: str, run_folder: Path) -> None:
    """A config of any path is code; ``++`` goes past what is checked."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(run_folder / "config.yaml"))
    (run_folder / "config.yaml").write_text(yaml.safe_dump({**settings, key: value}))
    with pytest.raises((ConfigError, CheckpointError), match=rf"run/config\.yaml: .*{message}"):
        with_settings_of_run([HERE])


def test_what_is_trusted_can_be_typed_again(run_folder: Path) -> None:
    settings = OmegaConf.load(run_folder / "config.yaml")
    settings.overrides += ["+callbacks.x={_target_:mine.X}"]
    settings.callbacks.x = {"_target_": "mine.X"}
    OmegaConf.save(settings, run_folder / "config.yaml")
    typed = [HERE, "+callbacks.x={_target_:mine.X}"]
    assert with_settings_of_run(typed) == [*TYPED, *typed]


def test_what_hydra_would_be_told_is_left_out(run_folder: Path) -> None:
    settings = OmegaConf.load(run_folder / "config.yaml")
    settings.hydra = {"job_logging": {"handlers": {"file": {"class": "evil.Handler"}}}}
    settings.overrides += ["hydra.searchpath=[file:///evil]", "hydra/launcher=joblib", "+hydra.job.env_set.A=b"]
    settings.overrides += [f"+callbacks@{at}hydra.callbacks=ema" for at in ("", "_global_.", ":")]
    settings["hydra.job.env_set.B"] = "b"
    OmegaConf.save(settings, run_folder / "config.yaml")
    assert with_settings_of_run([HERE]) == [*TYPED, HERE]


@pytest.mark.parametrize(
    "text",
    [
        "{", "[1]", "a: 1", "overrides: 3", "overrides: ['= =']", "\0", "overrides: []\nx: " + "[" * 1999,
        "overrides: []\na: &a [1]\nb: [*a, *a]", "overrides: []" + " " * (1 << 18),
    ],
)  # fmt: skip
def test_damaged_settings_are_told(text: str, run_folder: Path) -> None:
    (run_folder / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"run/config\.yaml: "):
        with_settings_of_run([HERE])


def write_run_of_own_config(run_folder: Path, group: str, text: str) -> None:
    """A run with the config ``mine`` of a group, which lies in the folder ``own`` beside it."""
    own = run_folder.parent / "own" / group
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(text)
    shutil.rmtree(run_folder)
    (run_folder / "checkpoints").mkdir(parents=True)
    (run_folder / "checkpoints/last.ckpt").touch()
    OmegaConf.save(compose("train", [f"{group}=mine"], [own.parent]), run_folder / "config.yaml", resolve=True)


def test_configs_of_ones_own_are_typed_again(run_folder: Path) -> None:
    write_run_of_own_config(run_folder, "model", "_target_: mine.Net\nscale: 2\n")
    with pytest.raises(
        ConfigError, match=r"run/config\.yaml: model=mine: there .*if its run had --config-dir FOLDER, type"
    ):
        with_settings_of_run([HERE])
    typed = ["--config-dir", "own", HERE]
    assert with_settings_of_run(typed) == ["--config-dir", "own", "model=mine", HERE]


def test_what_is_typed_is_blamed_and_not_the_file(run_folder: Path) -> None:
    for typed in ("+callbacks@callbacks=ema", "model=nothing"):
        with pytest.raises(ConfigError, match=f"^{re.escape(typed)}: "):
            with_settings_of_run([HERE, typed])


def test_another_logger_has_nothing_of_the_one_before(run_folder: Path) -> None:
    shutil.rmtree(run_folder)
    write_settings(run_folder, "logger=wandb", "+logger.wandb.entity=me")
    assert with_settings_of_run([HERE, "logger=csv"]) == [HERE, "logger=csv"]


@pytest.mark.parametrize(
    ("place", "as_typed"),
    [
        ("callbacks.checkpoint.dirpath=out", True),
        ("+callbacks.x={_target_:sr_lightning.training.callbacks.StopOnNaN,folder:/elsewhere}", True),
        ("logger.wandb.project=${data_dir}", False),
        ("+logger.wandb.entity=x", False),
    ],
)
def test_a_folder_chooses_no_place_for_results(place: str, as_typed: bool, run_folder: Path) -> None:
    """Neither by what was typed for its run nor by its values; somebody who types it may."""
    shutil.rmtree(run_folder)
    recorded = ['data_dir="/elsewhere"', "logger=wandb"]
    write_settings(run_folder, "run_dir=run", *recorded, place)
    if not as_typed:
        settings = OmegaConf.load(run_folder / "config.yaml")
        settings.overrides = recorded
        OmegaConf.save(settings, run_folder / "config.yaml")
    with pytest.raises(ConfigError, match=r"run/config\.yaml: .* is outside of the new run's folder.* type it again"):
        with_settings_of_run([HERE])
    assert with_settings_of_run([HERE, place]) == [*recorded, HERE, place]


def test_places_that_a_folder_of_configs_chooses_stay(run_folder: Path) -> None:
    text = "csv:\n  _target_: lightning.pytorch.loggers.CSVLogger\n  save_dir: /scratch\n"
    write_run_of_own_config(run_folder, "logger", text)
    assert with_settings_of_run(["--config-dir=own", HERE]) == ["--config-dir=own", "logger=mine", HERE]
