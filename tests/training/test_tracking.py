"""Loggers: the same keys in all of them, runs that end as training ended, and sweeps."""

import csv
import json
import math
import os
import shutil
import signal
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
import yaml
from lightning.pytorch import Callback

from sr_lightning.cli import sweep_jobs
from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError, Interrupted, SRError
from sr_lightning.train import train
from sr_lightning.training import mlflow_runs
from sr_lightning.training.arguments import training_arguments
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import write_settings
from sr_lightning.training.fitting import fit
from sr_lightning.training.mlflow_runs import MLflowRun
from sr_lightning.training.tracking import begin_before_processes, build_loggers, loggers_closed_after
from wandb_files import wandb_records

pytest.importorskip("mlflow")

SMALL = [
    "model=espcn", "model.num_features=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=16",
    "data.batches_per_epoch=4", "epochs=2", "max_minutes=null", "trainer=cpu",
    "trainer.precision=float32", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=2",
    "callbacks.channels_last=null", "callbacks.pictures.num_pictures=1",
]  # fmt: skip
NEW = {
    "speed/patches_per_second", "speed/waiting_share", "train/gradient_norm", "train/learning_rate", "memory/peak_gb",
}  # fmt: skip
Values = dict[str, dict[int, float]]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs; its tables take seconds to make."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow_runs._client(f"sqlite:///{file}")
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    """A store that runs share."""
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")


def client_of(store: Path) -> Any:
    return mlflow_runs._client(f"sqlite:///{store}")


def only_run(store: Path) -> Any:
    (run,) = runs_of(store)
    return run


def runs_of(store: Path) -> list[Any]:
    client = client_of(store)
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()], order_by=["start_time"]))


def in_mlflow(store: Path) -> Values:
    client, run = client_of(store), only_run(store)
    keys = run.data.metrics
    return {key: {m.step: m.value for m in client.get_metric_history(run.info.run_id, key)} for key in keys}


def in_csv(file: Path) -> Values:
    found: Values = defaultdict(dict)
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            step = int(row.pop("step"))
            for key, value in row.items():
                if value != "":
                    found[key][step] = float(value)
    return found


def in_tensorboard(folder: Path) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Values = defaultdict(dict)
    for file in folder.glob("events.*"):
        events = EventAccumulator(str(file)).Reload()
        for key in events.Tags()["scalars"]:
            found[key] |= {event.step: event.value for event in events.Scalars(key)}
        for key in events.Tags()["images"]:
            found[f"picture {key}"] |= {event.step: 1 for event in events.Images(key)}
    return found


def in_wandb(folder: Path) -> Values:
    found: Values = defaultdict(dict)
    for record in wandb_records(folder):
        row = {tuple(item.nested_key) or (item.key,): json.loads(item.value_json) for item in record.history.item}
        for (key, *part), value in row.items():
            step = row.get(("trainer/global_step",))
            if part == ["_type"] and value == "images/separated":
                found[f"picture {key}"][step] = 1
            elif not part and not key.startswith("_") and key != "trainer/global_step":
                found[key][step] = value
    return found


def test_all_loggers_have_the_same(empty_store: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    store = Path(shutil.copy(empty_store, tmp_path / "run/mlflow.db"))
    wandb.teardown()  # its process, if a test before has one, writes below that test's folder
    scores = train(compose("train", [*SMALL, "logger=[csv,tensorboard,wandb,mlflow]", "run_dir=run"]))
    wandb.teardown()  # waits for its process, which writes
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # and nothing anywhere else
    found = {
        "csv": in_csv(Path("run/metrics.csv")), "tensorboard": in_tensorboard(Path("run/tensorboard")),
        "wandb": in_wandb(Path("run/wandb")), "mlflow": in_mlflow(store),
    }  # fmt: skip
    expected = found["csv"]
    assert expected.keys() > NEW | {"train/loss", "val/psnr", "epoch", "final/espcn/samples/psnr", "lr-Adam/pg1"}
    assert list(expected["train/gradient_norm"]) == list(expected["train/loss"]) == [1, 3, 5, 7]
    assert expected["final/espcn/samples/psnr"] == {8: pytest.approx(scores["psnr"], abs=1e-4)}
    for logger, values in found.items():
        pictures = {key: values.pop(key) for key in [*values] if key.startswith("picture ")}
        assert logger in ("csv", "mlflow") or list(pictures.values()) == [{8: 1}], logger
        values.pop("hp_metric", None)  # of TensorBoard's page of settings
        assert values.keys() == expected.keys(), logger
        for key in expected:
            assert values[key].keys() == expected[key].keys(), (logger, key)
            for step, value in expected[key].items():
                assert math.isclose(values[key][step], value, rel_tol=1e-5, abs_tol=1e-9), (logger, key)
    run, client = only_run(store), client_of(store)
    (picture,) = client.list_artifacts(run.info.run_id, "pictures/00000008")
    assert picture.path.endswith(next(Path("run/pictures").iterdir()).name)
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "final.json", str(tmp_path))).read_text())
    assert table["columns"] == ["model", "set", "psnr", "ssim"] and len(table["data"]) == 2
    assert run.info.artifact_uri.startswith((tmp_path / "run/mlflow_artifacts").as_uri())
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    parameters = run.data.params
    assert (parameters["model/num_features"], parameters["optimizer/_target_"]) == ("4", "torch.optim.Adam")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


class Ends(Callback):
    """Ends training in its third step."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2 and self.error is None:
            os.kill(os.getpid(), signal.SIGTERM)
        elif batch_idx == 2 and self.error:
            raise self.error


@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [(SRError("no"), SRError, "FAILED"), (None, Interrupted, "KILLED"), (ZeroDivisionError(), Exception, "FAILED")],
)
def test_a_run_ends_as_training_does(
    error: BaseException | None, raised: Any, status: str, store: Path, tmp_path: Path
) -> None:
    typed = ["logger=mlflow", f"logger.mlflow.tracking_uri=sqlite:///{store}", "trainer.limit_val_batches=0"]
    cfg = compose("train", [*SMALL, *typed, f"run_dir={tmp_path}/run"])
    prepare_run(cfg)
    trainer = build_trainer(cfg, tmp_path / "run")
    trainer.callbacks.append(Ends(error))
    with pytest.raises(raised), loggers_closed_after(trainer):
        fit(trainer, build_model(cfg), build(cfg.data), None, tmp_path / "run")
    assert only_run(store).info.status == status
    assert only_run(store).info.end_time


def test_a_run_that_did_not_begin_is_not_in_the_store(store: Path) -> None:
    logger = MLflowRun(f"sqlite:///{store}")
    logger.close("FAILED")
    assert runs_of(store) == []


def test_a_run_goes_on_with_its_parameters(store: Path) -> None:
    """Parameters of MLflow cannot change, and a resumed run has another folder and checkpoint."""
    first = MLflowRun(f"sqlite:///{store}", run_name="mine")
    first.log_hyperparams({"run_dir": "a", "model": {"width": 3}})
    first.log_metrics({"val/psnr": 1.0}, step=1)
    first.close("KILLED")
    second = MLflowRun(f"sqlite:///{store}", run_id=first.version)
    second.log_hyperparams({"run_dir": "b", "model": {"width": 3}, "ckpt_path": "last.ckpt"})
    assert only_run(store).info.status == "RUNNING"
    second.log_metrics({"val/psnr": 2.0}, step=2)
    second.close("FINISHED")
    run = only_run(store)
    assert run.data.params == {"run_dir": "a", "model/width": "3", "ckpt_path": "last.ckpt"}
    assert (run.info.status, in_mlflow(store)["val/psnr"]) == ("FINISHED", {1: 1.0, 2: 2.0})


def test_long_settings_are_cut_and_say_so(store: Path) -> None:
    logger = MLflowRun(f"sqlite:///{store}")
    logger.log_hyperparams({"many": {f"n{n}": n for n in range(250)}, "long": "x" * 9999, "odd (key)": [1], "no": None})
    parameters = only_run(store).data.params
    assert parameters["long"].endswith("x ... (cut; config.yaml has all of it)") and len(parameters["long"]) == 500
    assert (parameters["odd _key_"], parameters["no"], parameters["many/n249"]) == ("[1]", "None", "249")


def test_mlflow_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_runs, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'^logger=mlflow: needs an extra; pip install "sr_lightning\[mlflow\]"$'):
        build_loggers(compose("train", ["logger=mlflow", "run_dir=run"]), Path("run"))


@pytest.mark.parametrize("uri", ["sqlite:///damaged.db", "sqlite:///folder", "sqlite:///file/m.db", "gopher://x"])
def test_stores_that_cannot_be_used(uri: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("damaged.db", "file"):
        (tmp_path / name).write_text("no database, and long enough to be read as one" * 99)
    with pytest.raises(ConfigError, match=f"^logger.mlflow.tracking_uri={uri}: cannot be used .*; choose another"):
        MLflowRun(uri).log_metrics({"a": 1.0})
    assert (tmp_path / "damaged.db").read_text().startswith("no database")


def test_runs_that_are_not_in_the_store(store: Path) -> None:
    uri = f"sqlite:///{store}"
    with pytest.raises(ConfigError, match=f"^logger.mlflow.run_id=abc: is not in {uri}; "):
        MLflowRun(uri, run_id="abc").log_metrics({"a": 1.0})
    client = client_of(store)
    client.delete_experiment(client.create_experiment("old"))
    with pytest.raises(ConfigError, match=r"experiment_name=old: was deleted in .*; choose another name"):
        MLflowRun(uri, experiment_name="old").log_metrics({"a": 1.0})


def test_a_store_that_fails_later_does_not_end_the_run(store: Path) -> None:
    run = MLflowRun(f"sqlite:///{store}")
    run.log_metrics({"a": 1.0}, 1)
    store.write_bytes(b"no database any more")
    with pytest.warns(UserWarning, match="the run goes on and logs nothing more there"):
        run.log_metrics({"a": 2.0}, 2)
    run.log_metrics({"a": 3.0}, 3)  # without another word
    run.log_table([{"model": "a"}])
    run.close("FINISHED")


def test_processes_that_are_started_go_on_with_the_run(store: Path) -> None:
    """One that trains is a copy of this one, in which the table is written."""
    import pickle

    typed = ["logger=mlflow", f"logger.mlflow.tracking_uri=sqlite:///{store}", "run_dir=run"]
    trainer = build_trainer(compose("train", [*SMALL, *typed, "trainer.strategy=ddp_fork"]), Path("run"))
    (logger,) = trainer.loggers
    assert isinstance(logger, MLflowRun) and logger._client is None
    copy = pickle.loads(pickle.dumps(logger))
    copy.log_metrics({"a": 1.0}, step=1)
    logger.log_metrics({"b": 2.0}, step=2)
    assert in_mlflow(store) == {"a": {1: 1.0}, "b": {2: 2.0}}
    begin_before_processes(SimpleNamespace(strategy=SimpleNamespace(launcher=None), loggers=[logger]))  # type: ignore[arg-type]
    assert logger._client is not None


def test_a_resumed_run_has_a_store_of_its_own(store: Path, tmp_path: Path) -> None:
    """A shared one has to be typed again."""
    for folder, typed in (("own", []), ("shared", [f"logger.mlflow.tracking_uri=sqlite:///{store}"])):
        cfg = compose("train", ["model=espcn", "logger=mlflow", *typed, f"run_dir={tmp_path}/{folder}"])
        (tmp_path / folder / "checkpoints").mkdir(parents=True)
        (tmp_path / folder / "checkpoints/last.ckpt").touch()
        write_settings(cfg, tmp_path / folder)
    again = training_arguments(["ckpt_path=own/checkpoints/last.ckpt", "run_dir=new"])
    assert compose("train", again).logger.mlflow.tracking_uri == "sqlite:///new/mlflow.db"
    with pytest.raises(ConfigError, match=r"logger.mlflow.tracking_uri=.* is outside of the new run's folder"):
        training_arguments(["ckpt_path=shared/checkpoints/last.ckpt", "run_dir=new"])
    typed = [f"logger.mlflow.tracking_uri=sqlite:///{store}"]
    assert set(typed) < set(training_arguments(["ckpt_path=shared/checkpoints/last.ckpt", "run_dir=new", *typed]))


def test_runs_of_a_sweep_are_a_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each ends before the next begins."""
    monkeypatch.setenv(sweep_jobs._MARK, "1")
    seen = {}
    for number in range(2):
        folder = tmp_path / f"monday/{number}"
        train(compose("train", [*SMALL, "epochs=1", f"seed={number}", "logger=wandb", f"run_dir={folder}"]))
        assert wandb.run is None
    wandb.teardown()
    for number in range(2):
        (run,) = [record.run for record in wandb_records(tmp_path / f"monday/{number}/wandb") if record.run.run_id]
        seen[run.run_id] = (run.run_group, run.display_name)
    assert [*seen.values()] == [("monday", "espcn 0"), ("monday", "espcn 1")]


def test_names_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(*typed: str) -> tuple[Any, ...]:
        loggers = build_loggers(compose("train", ["logger=[wandb,mlflow]", *typed]), Path("monday/3"))
        own: dict[str, Any] = {type(logger).__name__: vars(logger) for logger in loggers}
        run = own["MLflowRun"]
        return (
            own["WandbLogger"]["_wandb_init"]["name"],
            own["WandbLogger"]["_wandb_init"]["group"],
            run["run_name"],
            run["tags"],
        )

    assert names() == (None, None, "3", {})
    monkeypatch.setenv(sweep_jobs._MARK, "1")
    assert names("name=x") == ("x 3", "monday", "monday/3 x", {"sweep": "monday"})
    typed = ("logger.wandb.name=a", "logger.wandb.group=b", "logger.mlflow.run_name=c", "logger.mlflow.tags={d: e}")
    assert names(*typed) == ("a", "b", "c", {"d": "e"})


def test_an_agent_of_wandb_starts_runs() -> None:
    """By the sweep.yaml of the documentation and wandb's own code, which makes the command of it."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    page = (Path(__file__).parents[2] / "docs/tracking.md").read_text(encoding="utf-8")
    sweep = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert sweep["metric"] == {"name": "val/psnr", "goal": "maximize"}
    chosen = {"learning_rate": 0.00031, "model": "espcn", "data.batch_size": 8}
    assert sweep["parameters"].keys() == chosen.keys()
    arguments = create_sweep_command_args({"args": {key: {"value": value} for key, value in chosen.items()}})
    command = create_sweep_command(sweep["command"])
    macro = "${args_no_hyphens}"
    at = command.index(macro)
    typed = [*command[:at], *arguments[macro[2:-1]], *command[at + 1 :]]
    assert typed[0] == "sr-train"
    cfg = compose("train", training_arguments(typed[1:]))
    assert (cfg.learning_rate, cfg.name, cfg.data.batch_size) == (0.00031, "espcn", 8)
    assert cfg.logger.wandb.offline is False
