"""A search by Optuna, as the sweep and its runs share it: begun, asked whether to prune, told the results."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import ConfigError, nearest
from sr_lightning.training.run_folders import result_of, typed_for

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

#: The file in the folder of a sweep that holds its search, and the one that says where the search is.
JOURNAL, NOTE = "optuna.log", "optuna.json"


def begin_study(
    folder: Path,
    name: str,
    storage: str | None,
    *,
    sampler: Mapping[str, Any],
    pruner: Mapping[str, Any] | None,
    direction: Literal["maximize", "minimize"],
) -> Study:
    """The search of a sweep; the one that is in its folder, if there is one.

    Args:
        folder: Of the sweep.
        name: Of the search in its storage.
        storage: A database by its URL; None: a file in the folder.
        sampler: ``name`` of a class of ``optuna.samplers``, and its arguments.
        pruner: The same, of ``optuna.pruners``; None: nothing is pruned.
        direction: ``maximize`` or ``minimize``.

    Raises:
        ConfigError: If there is no such sampler, pruner or direction, or the storage cannot be used.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    note = {"storage": storage, "name": name, "pruner": dict(pruner) if pruner else None}
    if storage is None:
        _cut_off_half_line(folder / JOURNAL)
    try:
        study = optuna.create_study(
            study_name=name,
            storage=_storage(folder, storage),
            sampler=_made("sampler", sampler),
            pruner=_pruner(pruner),
            direction=direction,
            load_if_exists=True,
        )
        numbers = {trial.number for trial in study.get_trials(deepcopy=False)}
    except ConfigError:
        raise
    except Exception as error:  # of Optuna, of a database, or of the file of the search
        place = storage or folder / JOURNAL
        raise ConfigError(
            f"hydra.sweeper: {' '.join(str(error).split())[:200]}; {place} must be the file or database of a search, "
            "or not be there yet"
        ) from None
    unknown = [run.name for run in folder.iterdir() if run.name.isdecimal() and int(run.name) not in numbers]
    if unknown:
        raise ConfigError(
            f"{folder}: run {min(unknown, key=int)} is not of the search in {storage or JOURNAL}; choose another "
            "run_dir=FOLDER"
        )
    with atomic_write(folder / NOTE) as temporary:
        temporary.write_text(json.dumps(note), encoding="utf-8")
    return study


def study_of(folder: Path) -> Study | None:
    """The search that a folder's sweep belongs to, or None if it is none of Optuna's."""
    if not (folder / NOTE).is_file():
        return None
    import optuna

    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    storage = _storage(folder, note["storage"])
    return optuna.load_study(study_name=note["name"], storage=storage, pruner=_pruner(note["pruner"]))


def tell_result(study: Study, number: int, run: Path, metric: str, typed: Collection[str]) -> None:
    """Tells a search what became of a run: its score, that it was pruned, or that it failed.

    Args:
        study: The search.
        number: Of the run in it.
        run: The folder of the run.
        metric: The score that is searched for.
        typed: The settings that the search asked for. A run of other settings is none of the search, and failed.

    Raises:
        ConfigError: If the run has other scores than the one that is searched for.
    """
    from optuna.trial import TrialState

    result = result_of(run)
    if result is None or sorted(typed_for(run) or ()) != sorted(typed):
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        return
    sets = result["sets"].values()
    if not all(metric in scores for scores in sets) or not sets:
        there = sorted({name for scores in sets for name in scores} - {"images"})
        raise ConfigError(f"hydra.sweeper.metric={metric}: the runs have no such score; {nearest(metric, there)}")
    value = sum(float(scores[metric]) for scores in sets) / len(sets)
    if result.get("pruned"):
        study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
    else:
        study.tell(number, value, skip_if_finished=True)


def _cut_off_half_line(journal: Path) -> None:
    """Removes what a killed process left of the last entry, which the next one would be added to."""
    if not journal.is_file():
        return
    content = journal.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(journal, content.rfind(b"\n") + 1)


def _storage(folder: Path, storage: str | None) -> BaseStorage | str:
    if storage is not None:
        return storage
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _pruner(pruner: Mapping[str, Any] | None) -> BasePruner:
    made: BasePruner = _made("pruner", pruner or {"name": "NopPruner"})
    return made


def _made(kind: str, settings: Mapping[str, Any]) -> Any:
    """An object of Optuna by the name of its class; no other package's is made."""
    import optuna

    options = dict(settings)
    name, classes = options.pop("name", None), getattr(optuna, f"{kind}s")
    if name not in classes.__all__:
        raise ConfigError(f"hydra.sweeper.{kind}.name={name}: {nearest(str(name), classes.__all__)}")
    try:
        return getattr(classes, name)(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"hydra.sweeper.{kind}: {error}") from None
