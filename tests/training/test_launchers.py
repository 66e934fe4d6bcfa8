"""Sweeps on joblib, submitit and Ray: a run that dies is one failed row, and the same command goes on."""

import csv
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from running import fails, run_here
from sr_lightning.cli import sweep_jobs
from sr_lightning.training.callbacks import StopAtSignal
from sr_lightning.training.sweep import SweepTable

SWEEP = (
    "-m", "model=espcn", "model.num_features=4", "trainer=cpu", "epochs=1", "trainer.limit_val_batches=1",
    "trainer.enable_progress_bar=false", "data.batches_per_epoch=1", "data.batch_size=1", "data.patch_size=16",
    "data.num_workers=0", "callbacks.channels_last.when=never", "run_dir=sweep",
)  # fmt: skip
#: A callback that kills its process where a file says so.
DYING = """
import os, signal
from pathlib import Path
from lightning.pytorch import Callback

class Dying(Callback):
    def on_train_start(self, trainer, pl_module):
        if Path("die").exists() and pl_module.hparams.num_features == 6:
            os.kill(os.getpid(), signal.SIGKILL)
"""
LAUNCHERS = {
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=5"],
    "ray": ["+hydra.launcher.ray.init.include_dashboard=false", "+hydra.launcher.ray.init.num_cpus=2"],
}
MODULES = {"joblib": "joblib", "submitit_local": "submitit", "ray": "hydra_plugins.hydra_ray_launcher"}


def rows(sweep: Path) -> list[tuple[str, str]]:
    with (sweep / "table.csv").open() as file:
        return [(row["run"], row["model"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_run_that_dies_is_one_failed_row(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(MODULES[launcher])
    (tmp_path / "dying.py").write_text(DYING)
    (tmp_path / "die").touch()
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", path)
    features = "6,4" if launcher == "joblib" else "6"
    typed = [
        *SWEEP,
        f"model.num_features={features}",
        "+callbacks.dying._target_=dying.Dying",
        f"hydra/launcher={launcher}",
    ]
    done = run_here("train", *typed, *LAUNCHERS[launcher], cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert "1 of the runs failed" in done.stderr
    if launcher != "joblib":  # once is enough
        assert rows(tmp_path / "sweep") == [("0", "failed")]
        return
    assert rows(tmp_path / "sweep") == [("", "bicubic"), ("0", "failed"), ("1", "espcn")]
    assert "run 0: was ended by SIGKILL, usually because memory was full" in capfd.readouterr().err
    (tmp_path / "die").unlink()
    before = (tmp_path / "sweep/1/results.json").stat()
    done = run_here("train", *typed, *LAUNCHERS[launcher], cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0
    assert rows(tmp_path / "sweep") == [("", "bicubic"), ("0", "espcn"), ("1", "espcn")]
    assert (tmp_path / "sweep/1/results.json").stat() == before  # it was not done again


def test_a_run_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """As where the worker of a launcher is killed: nobody waits for the run any more."""
    waiting = "import time\nfrom sr_lightning.cli import sweep_jobs\nsweep_jobs.end_with_the_sweep()\ntime.sleep(60)"
    for marked, code in (("1", -signal.SIGTERM), ("", None)):
        environment = {**os.environ, "SR_LIGHTNING_SWEEP_JOB": marked}
        run = subprocess.Popen([sys.executable, "-c", waiting], stdin=subprocess.PIPE, env=environment)
        assert run.stdin is not None
        run.stdin.close()  # as the system does for a process that is gone
        try:
            assert run.wait(10 if marked else 1) == code
        except subprocess.TimeoutExpired:
            assert code is None
            run.kill()
            run.wait()


def test_a_launcher_that_fails_is_told_in_a_sentence_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib = pytest.importorskip("hydra_plugins.hydra_joblib_launcher._core")

    def broken(*args: object, **kwargs: object) -> None:
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        (tmp_path / "sweep/0/.hydra").mkdir(parents=True)
        (tmp_path / "sweep/0/.hydra/overrides.yaml").write_text("- seed=1\n")
        raise TerminatedWorkerError("A worker process was terminated.\nThe exit codes of the workers are {SIGKILL(-9)}")

    monkeypatch.setattr(joblib, "launch", broken)
    done = run_here("train", *SWEEP, "seed=1,2", "hydra/launcher=joblib", cwd=tmp_path)
    fails(done, "the launcher of the sweep failed: A worker process was terminated")
    assert rows(tmp_path / "sweep") == [("0", "failed")]
    assert "the same command goes on with the runs that are left if it has run_dir=sweep" in done.stderr


def test_sigterm_ends_a_sweep_with_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = pytest.importorskip("hydra_plugins.hydra_joblib_launcher._core")

    def ended(*args: object, **kwargs: object) -> None:
        (tmp_path / "sweep/0/.hydra").mkdir(parents=True)
        (tmp_path / "sweep/0/.hydra/overrides.yaml").write_text("- seed=1\n")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(joblib, "launch", ended)
    before = signal.getsignal(signal.SIGTERM)
    try:
        done = run_here("train", *SWEEP, "seed=1,2", "hydra/launcher=joblib", cwd=tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.returncode == 143
    assert rows(tmp_path / "sweep") == [("0", "failed")]
    assert done.stderr.strip().endswith("has run_dir=sweep\ninterrupted")


def test_a_run_of_a_launcher_lets_no_second_signal_end_it_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopAtSignal(tmp_path)
    stop._training = True
    stop._receive(signal.SIGTERM, None)
    with pytest.raises(KeyboardInterrupt):  # of somebody at a keyboard
        stop._receive(signal.SIGINT, None)
    monkeypatch.setenv("SR_LIGHTNING_SWEEP_JOB", "1")
    stop._receive(signal.SIGTERM, None)


def test_a_result_that_is_none_is_a_failed_row(tmp_path: Path) -> None:
    (tmp_path / "sweep/0/.hydra").mkdir(parents=True)
    (tmp_path / "sweep/0/.hydra/overrides.yaml").write_text("- seed=1\n")
    (tmp_path / "sweep/0/results.json").write_text("[]")
    with pytest.raises(SystemExit):
        SweepTable().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}}))
    assert rows(tmp_path / "sweep") == [("0", "failed")]


def test_a_sweep_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    typed = [*SWEEP, "seed=1,2"]
    assert run_here("train", *typed, cwd=tmp_path).returncode == 0
    first, second = (tmp_path / f"sweep/{number}" for number in (0, 1))
    before = (first / "metrics.csv").stat()
    other = run_here("train", *SWEEP, "seed=3,2", cwd=tmp_path)
    assert other.returncode == 1
    assert "sweep/0: holds a run of another sweep, which differs in seed=1; choose another run_dir" in other.stderr
    (second / "results.json").unlink()
    done = run_here("train", *typed, cwd=tmp_path)
    assert "sweep/0: done already" in done.stdout and "resuming" in done.stderr
    assert (first / "metrics.csv").stat() == before
    assert (second / "metrics.1.csv").exists()  # what it had before


def test_a_launcher_that_is_not_installed_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_jobs, "find_spec", lambda name: None)
    for choice, extra in (("launcher=ray", "ray"), ("launcher=submitit_slurm", "slurm"), ("sweeper=optuna", "sweep")):
        fails(run_here("train", *SWEEP, f"hydra/{choice}", cwd=tmp_path), f'pip install "sr_lightning[{extra}]"')
    monkeypatch.setattr(sweep_jobs, "find_spec", find_spec)
    for module, _ in sweep_jobs._PLUGINS.values():  # as they are called where they are installed
        assert sweep_jobs._is_there(module)
    assert not sweep_jobs._is_there("hydra_plugins_of_nobody.launcher")
