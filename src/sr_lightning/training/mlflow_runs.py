"""Runs in an MLflow store: a SQLite file in the run's folder, or one that several runs share."""

import logging
import os
import re
import sqlite3
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, ParamSpec

from filelock import FileLock
from lightning.fabric.utilities.logger import _convert_params, _flatten_dict
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from sr_lightning.errors import ConfigError

P = ParamSpec("P")
Status = Literal["FINISHED", "FAILED", "KILLED"]

_SQLITE = "sqlite:///"
#: What every MLflow server of the last years takes, and how a value ends that is longer.
_LONGEST, _CUT = 500, " ... (cut; config.yaml has all of it)"
#: What MLflow takes in one call.
_AT_ONCE = 100


def _never_in_the_way(log: Callable[P, None]) -> Callable[P, None]:
    """A store that fails while a run trains ends what is logged there, and not the run."""

    @wraps(log)
    def logged(*args: P.args, **kwargs: P.kwargs) -> None:
        run: Any = args[0]
        if run.broken:
            return
        try:
            log(*args, **kwargs)
        except ConfigError:  # at the start
            raise
        except Exception as error:
            run.broken = True
            reason = " ".join(str(error).split())[:200]
            warnings.warn(
                f"logger=mlflow: {run.tracking_uri} fails ({reason}); the run goes on and logs nothing more there",
                stacklevel=2,
            )

    return logged


class MLflowRun(Logger):
    """Logs to a run of MLflow, which begins with the first thing that is logged, and is ended by ``close``.

    Unlike Lightning's ``MLFlowLogger``, it opens the store in the first process alone, ends with the command and not
    with the last step, says how it ended, keeps artifacts beside a SQLite store, and sends no telemetry.

    Args:
        tracking_uri: ``sqlite:///FILE``, or ``http://…`` of a server.
        experiment_name: Made where the store has none of this name.
        run_name: Shown in tables; None: MLflow invents one.
        run_id: A run of the store that goes on; None begins a new one.
        artifact_location: Folder or address of files, for an experiment that is made; None: ``mlflow_artifacts``
            beside a SQLite store, and what a server chooses otherwise.
        tags: Of the run.

    Raises:
        ConfigError: If MLflow is not installed, or, when the run begins, if the store cannot be used. A store that
            fails later gives a warning.

    Example:
        >>> MLflowRun("sqlite:///runs/a/mlflow.db").tracking_uri
        'sqlite:///runs/a/mlflow.db'
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str = "sr_lightning",
        run_name: str | None = None,
        run_id: str | None = None,
        artifact_location: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if find_spec("mlflow") is None:
            raise ConfigError('logger=mlflow: needs an extra; pip install "sr_lightning[mlflow]"')
        self.tracking_uri, self.experiment_name, self.run_name = str(tracking_uri), experiment_name, run_name
        self.artifact_location, self.tags = artifact_location, dict(tags or {})
        self._id, self._opened = run_id, False
        self._client: Any = None
        self.broken = False

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process goes on with the same run by a connection of its own."""
        return {**vars(self), "_id": self._id, "_client": None}

    @property
    def run_id(self) -> str:
        """The run's identity in its store."""
        self._begin()
        return str(self._id)

    @property
    def experiment(self) -> Any:
        """MLflow's client of the store."""
        self._begin()
        return self._client

    @property
    def name(self) -> str:
        return self.experiment_name

    @property
    def version(self) -> str | None:
        return self._id

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """All settings as parameters, ``model/num_features`` of nested ones, and whole as ``settings.json``.

        Parameters of MLflow never change: a run that goes on keeps those that it began with.
        """
        from mlflow.entities import Param

        settings = _convert_params(params)
        there = self.experiment.get_run(self.run_id).data.params
        flat = {_key(name): _short(value) for name, value in _flatten_dict(settings).items()}
        new = [Param(name, value) for name, value in flat.items() if name not in there]
        for first in range(0, len(new), _AT_ONCE):
            self.experiment.log_batch(self.run_id, params=new[first : first + _AT_ONCE])
        self.experiment.log_dict(self.run_id, settings, "settings.json")

    @rank_zero_only
    @_never_in_the_way
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        entries = [Metric(_key(name), float(value), now, step or 0) for name, value in metrics.items()]
        self.experiment.log_batch(self.run_id, metrics=entries)

    @rank_zero_only
    @_never_in_the_way
    def log_picture(self, file: Path, step: int) -> None:
        """A picture's file as an artifact, one folder for each step."""
        self.experiment.log_artifact(self.run_id, str(file), f"pictures/{step:08d}")

    @rank_zero_only
    @_never_in_the_way
    def log_table(self, rows: list[dict[str, str]]) -> None:
        """The closing table as the artifact ``final.json``."""
        self.experiment.log_table(self.run_id, {key: [row[key] for row in rows] for key in rows[0]}, "final.json")

    @rank_zero_only
    @_never_in_the_way
    def close(self, status: Status) -> None:
        """Ends the run; nothing is done where none began."""
        if self._opened:
            self.experiment.set_terminated(self.run_id, status)
            self._opened, self._client = False, None

    @rank_zero_only
    def begin_for_others(self) -> None:
        """Begins the run, and leaves no connection that another process would inherit."""
        self._begin()
        self._client = None

    def _begin(self) -> None:
        """Opens the store and begins the run, or goes on with it."""
        if self._client is not None:
            return
        with _store_errors_explained(self.tracking_uri), _one_at_a_time(self.tracking_uri):
            client = _client(self.tracking_uri)
            if self._id is None:
                self._id = self._new_run(client)
            elif not self._opened:
                self._go_on(client)
        self._client, self._opened = client, True

    def _go_on(self, client: Any) -> None:
        """With a run that was ended."""
        from mlflow.exceptions import MlflowException

        try:
            client.update_run(self._id, status="RUNNING")
        except MlflowException as error:
            if "not found" not in str(error):
                raise
            raise ConfigError(
                f"logger.mlflow.run_id={self._id}: is not in {self.tracking_uri}; name the store of the run with "
                "logger.mlflow.tracking_uri=, or begin a new one with logger.mlflow.run_id=null"
            ) from None

    def _new_run(self, client: Any) -> str:
        experiment = client.get_experiment_by_name(self.experiment_name)
        if experiment is None:
            place = self.artifact_location or _beside(self.tracking_uri)
            number = client.create_experiment(self.experiment_name, artifact_location=place)
        elif experiment.lifecycle_stage == "deleted":
            raise ConfigError(
                f"logger.mlflow.experiment_name={self.experiment_name}: was deleted in {self.tracking_uri}; choose "
                "another name"
            )
        else:
            number = experiment.experiment_id
        from mlflow.tracking.context.registry import resolve_tags

        return str(client.create_run(number, run_name=self.run_name, tags=resolve_tags(self.tags)).info.run_id)


def _client(uri: str) -> Any:
    """A client that tells nobody of it, and keeps no connection that another process would inherit."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow reads both when it is imported
    if _file_of(uri):
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):  # a new store would tell how it is made
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


@contextmanager
def _store_errors_explained(uri: str) -> Iterator[None]:
    file = _file_of(uri)
    if file is not None:
        _refuse_no_database(uri, file)
    try:
        yield
    except (ConfigError, ImportError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"logger.mlflow.tracking_uri={uri}: cannot be used ({reason}); choose another store, such as "
            "sqlite:///mlflow.db"
        ) from error


def _refuse_no_database(uri: str, file: Path) -> None:
    """MLflow would try ten times, for a minute, what cannot be."""
    try:
        if file.is_dir():
            raise IsADirectoryError(f"{file} is a folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
            if file.exists() and not os.access(file, os.W_OK):
                raise PermissionError(f"{file} cannot be written")
        finally:
            connection.close()
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"logger.mlflow.tracking_uri={uri}: cannot be used ({error}); choose another store, such as "
            "sqlite:///mlflow.db"
        ) from None


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Two runs that make the tables of one file at once would each find them half made."""
    file = _file_of(uri)
    if file is None:
        yield
        return
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=300):
        yield


def _file_of(uri: str) -> Path | None:
    """The file of a SQLite store; None of another."""
    path = uri.removeprefix(_SQLITE).partition("?")[0]
    return Path(path) if uri.startswith(_SQLITE) and path and path != ":memory:" else None


def _beside(uri: str) -> str | None:
    """Where a store's files go: MLflow would put those of a SQLite store into the working folder."""
    file = _file_of(uri)
    return None if file is None else (file.absolute().parent / "mlflow_artifacts").as_uri()


def _key(name: str) -> str:
    """A name as MLflow takes it.

    Example:
        >>> _key("val/Set 5 (x2)/psnr")
        'val/Set 5 _x2_/psnr'
    """
    return re.sub(r"[^\w/. -]", "_", name)[:250]


def _short(value: Any) -> str:
    """A setting as text, cut with a note if it is long.

    Example:
        >>> _short([1, 2]), len(_short("a" * 900)), _short("a" * 900)[-43:]
        ('[1, 2]', 500, 'aaaaaa ... (cut; config.yaml has all of it)')
    """
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT
