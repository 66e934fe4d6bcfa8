"""``hydra/sweeper=optuna``: a search by Optuna that prunes, and that goes on where it was stopped.

hydra-optuna-sweeper, which has the same name in Hydra, asks for an Optuna of 2021 and does not prune.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial


class OptunaSweeper(Sweeper):
    """Asks Optuna for settings, has them launched, and tells it their scores.

    The number of a trial is that of its run, in whose folder the scores are. Trials that were begun when a search was
    killed are run first when the same command is typed again with the same folder.

    Args:
        n_trials: How many runs.
        n_jobs: How many of them at a time.
        metric: The score in ``results.json``.
        direction: ``maximize`` or ``minimize``.
        sampler: ``name`` of a class of ``optuna.samplers``, and its arguments.
        pruner: ``name`` of a class of ``optuna.pruners``, and its arguments; None: nothing is pruned.
        storage: A database by its URL; None: a file in the folder of the sweep.
        study_name: Name of the search in it.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        metric: str,
        direction: Literal["maximize", "minimize"],
        sampler: Mapping[str, Any],
        pruner: Mapping[str, Any] | None,
        storage: str | None,
        study_name: str,
    ) -> None:
        self.n_trials, self.n_jobs, self.metric, self.direction = n_trials, n_jobs, metric, direction
        self.sampler, self.pruner, self.storage, self.study_name = sampler, pruner, storage, study_name

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        from optuna.trial import TrialState
        from pydantic import PositiveInt

        from sr_lightning.limits import check_value
        from sr_lightning.training.search import begin_study, tell_result

        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        fixed, space = split_arguments(arguments, self.hydra_context.config_loader)
        check_value("hydra.sweeper.n_trials", self.n_trials, PositiveInt)
        check_value("hydra.sweeper.n_jobs", self.n_jobs, PositiveInt)
        folder = Path(str(self.config.hydra.sweep.dir))
        study = begin_study(
            folder, self.study_name, self.storage, sampler=self.sampler, pruner=self.pruner, direction=self.direction
        )
        begun: Sequence[FrozenTrial | Trial] = study.get_trials(states=(TrialState.RUNNING,))
        while True:
            left = self.n_trials - len(study.get_trials(deepcopy=False))
            trials = begun or [study.ask(space) for _ in range(min(left, self.n_jobs))]
            if not trials:
                break
            typed = {t.number: [*fixed, *(f"{name}={value}" for name, value in t.params.items())] for t in trials}
            for first, batch in _consecutive(trials):
                overrides = [typed[trial.number] for trial in batch]
                self.validate_batch_is_legal(overrides)
                self.launcher.launch(overrides, initial_job_idx=first)
            for number, settings in typed.items():
                tell_result(study, number, folder / str(number), self.metric, settings)
            begun = []


def split_arguments(
    arguments: Sequence[str], config_loader: ConfigLoader | None = None
) -> tuple[list[str], dict[str, BaseDistribution]]:
    """What was typed, as what all runs have, and what is searched.

    Args:
        arguments: Overrides.
        config_loader: Knows the files that ``glob(*)`` stands for.

    Raises:
        ConfigError: If nothing is searched, or Optuna cannot search it.

    Example:
        >>> fixed, space = split_arguments(["scale=2", "model=espcn,fsrcnn", "learning_rate=interval(1e-4,1e-2)"])
        >>> fixed, space["model"].choices, space["learning_rate"].high
        (['scale=2'], ('espcn', 'fsrcnn'), 0.01)
    """
    from sr_lightning.errors import ConfigError

    fixed, space = list[str](), dict[str, "BaseDistribution"]()
    for text, override in zip(
        arguments, OverridesParser.create(config_loader).parse_overrides(list(arguments)), strict=True
    ):
        if override.is_sweep_override():
            space[override.get_key_element()] = _distribution(override)
        else:
            fixed.append(text)
    if not space:
        raise ConfigError(
            "hydra/sweeper=optuna: nothing is to be searched; type a key with several values, such as "
            "learning_rate='tag(log,interval(1e-5,1e-2))'"
        )
    return fixed, space


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from sr_lightning.errors import ConfigError

    value: Any = override.value()
    if override.is_choice_sweep():
        return CategoricalDistribution([_typed(choice) for choice in override.sweep_string_iterator()])
    whole = override.is_range_sweep() and all(isinstance(n, int) for n in (value.start, value.stop, value.step))
    try:
        if override.is_range_sweep():
            kind: Any = IntDistribution if whole else FloatDistribution
            steps = -(-(value.stop - value.start) // value.step) - 1  # Hydra's ranges are without their end
            return kind(value.start, value.start + steps * value.step, step=value.step)
        whole = isinstance(value.start, int) and isinstance(value.end, int)  # as in int(interval(2,5))
        kind = IntDistribution if whole else FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    except ValueError as error:
        raise ConfigError(f"{override.input_line}: {error}") from None


def _typed(choice: object) -> str:
    """A choice as people type it."""
    return {"True": "true", "False": "false"}.get(str(choice), str(choice))


def _consecutive(trials: Sequence[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Trials whose numbers follow one another, as a launcher numbers its runs, with the first number."""
    for _, group in groupby(enumerate(trials), lambda pair: pair[1].number - pair[0]):
        batch = [trial for _, trial in group]
        yield batch[0].number, batch
