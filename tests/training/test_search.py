"""``hydra/sweeper=optuna``: what is searched, what a run reports, what is pruned, and how a search goes on."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from running import fails, run_here
from sr_lightning.errors import ConfigError
from sr_lightning.training.callbacks import Pruning
from sr_lightning.training.search import begin_study, study_of, tell_result

optuna = pytest.importorskip("optuna")
sweeper = pytest.importorskip("hydra_plugins.sr_lightning_sweeps.optuna_sweeper")
TPE = {"name": "TPESampler", "seed": 1}
SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}
SEARCH = (
    "-m", "hydra/sweeper=optuna", "model=espcn", "model.num_features=4", "trainer=cpu", "epochs=1", "run_dir=search",
    "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false", "data.batches_per_epoch=1", "data.batch_size=1",
    "data.patch_size=16", "data.num_workers=0", "callbacks.channels_last.when=never",
)  # fmt: skip


def study(folder: Path, pruner: dict[str, Any] | None = None, **settings: Any) -> Any:
    return begin_study(folder, "s", None, **{"sampler": TPE, "pruner": pruner, "direction": "maximize", **settings})


def write_result(folder: Path, psnr: float, typed: str = "", **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(f"overrides: [{typed}]")
    sets = {"a": {"psnr": psnr - 1, "ssim": 0.9, "images": {}}, "b": {"psnr": psnr + 1, "ssim": 0.9, "images": {}}}
    (folder / "results.json").write_text(json.dumps({"sets": sets, **more}))


def test_what_hydra_reads_becomes_what_optuna_searches() -> None:
    typed = [
        "scale=2", "model=espcn,fsrcnn", "a=interval(1,3)", "b=tag(log,interval(1e-4,1e-2))", "c=range(8,33,8)",
        "d=int(interval(2,5))", "e=range(0,1,0.25)", "f=choice(true,false)",
    ]  # fmt: skip
    fixed, space = sweeper.split_arguments(typed)
    d = optuna.distributions
    assert fixed == ["scale=2"]
    assert space == {
        "model": d.CategoricalDistribution(["espcn", "fsrcnn"]),
        "a": d.FloatDistribution(1, 3),
        "b": d.FloatDistribution(1e-4, 1e-2, log=True),
        "c": d.IntDistribution(8, 32, step=8),  # as Hydra's range, without its end
        "d": d.IntDistribution(2, 5),
        "e": d.FloatDistribution(0, 0.75, step=0.25),
        "f": d.CategoricalDistribution(["true", "false"]),
    }
    with pytest.raises(ConfigError, match="nothing is to be searched"):
        sweeper.split_arguments(["scale=2"])


def test_the_results_of_runs_are_told(tmp_path: Path) -> None:
    search = study(tmp_path)
    for _ in range(3):
        search.ask(SPACE)
    write_result(tmp_path / "0", 30)
    write_result(tmp_path / "1", 20, pruned=True)
    for number in range(3):  # the third died
        tell_result(search, number, tmp_path / str(number), "psnr", [])
    assert [trial.state.name for trial in search.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert search.best_value == 30  # the mean of both sets
    tell_result(search, 0, tmp_path / "0", "psnr", [])  # again, as when a search goes on
    search.ask(SPACE)
    write_result(tmp_path / "3", 30)
    with pytest.raises(ConfigError, match=r"metric=lpips: the runs have no such score; there are psnr, ssim"):
        tell_result(search, 3, tmp_path / "3", "lpips", [])
    assert search.ask(SPACE).number == 4
    write_result(tmp_path / "4", 99, typed="x=1")
    tell_result(search, 4, tmp_path / "4", "psnr", ["x=0.5"])  # a run of other settings is none of the search
    assert search.trials[4].state.name == "FAIL"


def test_the_median_prunes(tmp_path: Path) -> None:
    search = study(tmp_path, {"name": "MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 1})
    ended = [validate(search, tmp_path, scores) for scores in ([20, 30, 31], [20, 29, 29.5], [20, 32, 33])]
    assert ended == [(3, False), (2, True), (3, False)]


def validate(search: Any, folder: Path, scores: list[float]) -> tuple[int, bool]:
    """After how many validations with these scores a run ends, and whether it was pruned."""
    run = folder / str(search.ask(SPACE).number)
    strategy = SimpleNamespace(broadcast=lambda said: said)
    trainer: Any = SimpleNamespace(is_global_zero=True, sanity_checking=False, should_stop=False, strategy=strategy)
    pruning, epochs, model = Pruning(run), 0, torch.nn.Identity()
    pruning.on_fit_start(trainer, model)  # type: ignore[arg-type]
    for epochs, score in enumerate(scores, 1):
        trainer.current_epoch, trainer.callback_metrics = epochs - 1, {"val/psnr": score}
        pruning.on_validation_end(trainer, model)  # type: ignore[arg-type]
        if trainer.should_stop:
            break
    write_result(run, scores[epochs - 1], pruned=pruning.pruned)
    tell_result(search, int(run.name), run, "psnr", [])
    return epochs, pruning.pruned


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampler": {"name": "TPE"}}, "sampler.name=TPE: there are .*TPESampler"),
        ({"sampler": {"name": "TPESampler", "speed": 1}}, "speed"),
        ({"pruner": {"name": "os.system"}}, "pruner.name=os.system"),
        ({"direction": "up"}, "direction"),
    ],
)
def test_what_optuna_does_not_have_is_named(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        study(tmp_path, **settings)


def test_a_file_that_was_cut_off_goes_on_at_its_last_whole_line(tmp_path: Path) -> None:
    study(tmp_path).ask(SPACE)
    with (tmp_path / "optuna.log").open("a") as file:
        file.write('{"op_code"')  # as SIGKILL leaves it
    assert study(tmp_path).ask(SPACE).number == 1
    assert len(study(tmp_path).trials) == 2


@pytest.mark.parametrize("damage", ["no such thing\n", '{"op_code": 4}\n'])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    (tmp_path / "optuna.log").write_text(damage)
    with pytest.raises(ConfigError, match=r"optuna\.log must be the file or database of a search"):
        study(tmp_path)


def test_a_folder_of_runs_without_their_search_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    with pytest.raises(ConfigError, match=r"run 0 is not of the search in optuna\.log; choose another run_dir"):
        study(tmp_path)


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////no/such/folder/x.db"])
def test_a_storage_that_cannot_be_is_named(storage: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hydra\.sweeper: "):
        begin_study(tmp_path, "s", storage, sampler=TPE, pruner=None, direction="maximize")


@pytest.mark.parametrize("typed", ["n_trials=0", "n_trials=x", "n_jobs=0"])
def test_numbers_of_runs_are_checked(typed: str, tmp_path: Path) -> None:
    done = run_here("train", *SEARCH, "seed=1,2", f"hydra.sweeper.{typed}", cwd=tmp_path)
    fails(done, f"hydra.sweeper.{typed}")


def test_a_run_outside_of_a_search_has_none(tmp_path: Path) -> None:
    assert study_of(tmp_path) is None


def test_a_search_goes_on_with_the_run_that_was_killed(tmp_path: Path) -> None:
    """One run was done, and the second was killed before it had a result."""
    typed = [*SEARCH, "learning_rate=tag(log,interval(1e-5,1e-2))"]
    done = run_here("train", *typed, "hydra.sweeper.n_trials=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    search = study_of(tmp_path / "search")
    assert search is not None
    second = search.ask({"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True)})
    done = run_here("train", *typed, "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    states = [(trial.number, trial.state.name) for trial in study_of(tmp_path / "search").trials]  # type: ignore[union-attr]
    assert states == [(0, "COMPLETE"), (1, "COMPLETE")]
    assert f"learning_rate={second.params['learning_rate']}" in (tmp_path / "search/1/config.yaml").read_text()


def test_a_search_of_nothing_is_refused(tmp_path: Path) -> None:
    fails(run_here("train", *SEARCH, cwd=tmp_path), "nothing is to be searched")
