"""Runs sorted into methods, and methods into sections whose numbers may stand in one table."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sr_lightning.metrics.means import counted, mean_score
from sr_lightning.reports.collect import Run, Values
from sr_lightning.reports.statistics import mean_interval

#: Largest relative difference of scores that another device makes of the same pictures.
DEVICES = 1e-4


@dataclass(frozen=True)
class Method:
    """Runs of one network that differ in their seed at most."""

    label: str
    runs: tuple[Run, ...]

    def scores(self, set_name: str, metric: str) -> dict[str, float]:
        """Each picture's score, the mean over the runs that have it."""
        found: dict[str, list[float]] = defaultdict(list)
        for run in self.runs:
            for picture, value in run.values.get(set_name, {}).get(metric, {}).items():
                found[picture].append(value)
        return {picture: mean_score(values) for picture, values in sorted(found.items())}

    def interval(self, set_name: str, metric: str) -> tuple[float, float]:
        """Mean over the pictures and half-width of its 95 % interval."""
        return mean_interval(counted(self.scores(set_name, metric).values()))

    def means(self, set_name: str, metric: str) -> list[float]:
        """Each run's mean over the pictures."""
        scores = (run.values.get(set_name, {}).get(metric, {}).values() for run in self.runs)
        return [mean_score(values) for values in scores if values]


@dataclass(frozen=True)
class Section:
    """All methods that one protocol scored at one scale, on LR pictures made in one way."""

    protocol: str
    lr: str
    fields: str
    scale: int
    methods: tuple[Method, ...]

    @property
    def title(self) -> str:
        return ", ".join(filter(None, [self.protocol, self.lr, f"x{self.scale}"]))

    @property
    def sets(self) -> list[str]:
        """The usual test sets first, as papers list them."""
        usual = ("set5", "set14", "bsd100", "urban100", "manga109")
        names = {name for method in self.methods for run in method.runs for name in run.values}
        return sorted(names, key=lambda name: (usual.index(name) if name in usual else len(usual), name))

    @property
    def metrics(self) -> list[str]:
        found = {m for method in self.methods for run in method.runs for scores in run.values.values() for m in scores}
        return sorted(found, key=lambda metric: (metric != "psnr", metric))


def sections_of(runs: Sequence[Run]) -> list[Section]:
    """Runs by protocol, LR pictures and scale; in each section the smaller network first."""
    groups: dict[tuple[str, str, str, int], list[Run]] = defaultdict(list)
    for run in _by_pictures(_by_lr_files(runs)):
        groups[run.protocol, run.lr, run.fields, run.scale].append(run)
    return [Section(*key, methods=_methods(group)) for key, group in sorted(groups.items())]


def _by_pictures(runs: Sequence[Run]) -> list[Run]:
    """Runs whose sets have names of their own where sets of one name hold different pictures.

    A run that lacks some pictures of a set still has that set; two that share none, or have some each, have two sets.
    """
    largest: dict[str, list[frozenset[str]]] = defaultdict(list)
    for name, pictures in sorted({item for run in runs for item in _pictures(run)}, key=lambda item: -len(item[1])):
        if not any(pictures <= other for other in largest[name]):
            largest[name].append(pictures)
    named = []
    for run in runs:
        values: Values = {}
        for name, pictures in _pictures(run):
            sets = largest[name]
            which = next(other for other in sets if pictures <= other)
            first, last = min(which), max(which)
            values[name if len(sets) == 1 else f"{name} ({first} to {last})"] = run.values[name]
        named.append(replace(run, values=values))
    return named


def _pictures(run: Run) -> list[tuple[str, frozenset[str]]]:
    return [(name, frozenset().union(*scores.values())) for name, scores in run.values.items()]


def _by_lr_files(runs: Sequence[Run]) -> list[Run]:
    """Runs, cut where others read other LR files of a set by the same name."""
    digests: dict[tuple[int, str], set[str]] = defaultdict(set)
    for run in runs:
        for name in run.values.keys() & run.lr_files.keys():
            digests[run.scale, name].add(run.lr_files[name])
    cut = []
    for run in runs:
        parts: dict[str, Values] = defaultdict(dict)
        for name, scores in run.values.items():
            several = name in run.lr_files and len(digests[run.scale, name]) > 1
            parts[f"LR files {run.lr_files[name][:8]} of {name}" if several else run.lr][name] = scores
        cut += [replace(run, lr=lr, values=values) for lr, values in parts.items()]
    return cut


def _methods(runs: list[Run]) -> tuple[Method, ...]:
    """Runs of the same network, weights and settings together, each with a name that tells it from the others."""
    distinct = _distinct(runs)
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in distinct:
        same_name = [other for other in distinct if other.model == run.model]
        same_source = [other for other in same_name if other.source == run.source]
        parts = [f"({run.source})"] if run.source and len(same_source) < len(same_name) else []
        keys = {key for other in same_source for key in other.settings}
        differing = sorted(k for k in keys if len({o.settings[k] for o in same_source if k in o.settings}) > 1)
        parts += [f"{short}={run.settings[key]}" for key, short in _short(differing).items() if key in run.settings]
        groups[" ".join([run.model, *parts])].append(run)
    methods = [Method(label, tuple(group)) for label, group in groups.items()]
    return tuple(sorted(methods, key=lambda method: (method.runs[0].parameters, method.label)))


def _short(keys: Sequence[str]) -> dict[str, str]:
    """The shortest endings of dotted keys that tell them apart.

    Example:
        >>> _short(["model.attention", "model.scale", "data.scale"])
        {'model.attention': 'attention', 'model.scale': 'model.scale', 'data.scale': 'data.scale'}
    """
    last = [key.rpartition(".")[2] for key in keys]
    return {key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)}


def _distinct(runs: list[Run]) -> list[Run]:
    """Runs without the sets that another one scored alike: the same weights evaluated twice are no second sample."""
    seen: dict[tuple[str, ...], list[dict[str, dict[str, float]]]] = defaultdict(list)
    kept = []
    for run in sorted(runs, key=lambda run: not run.details):  # a baseline gives way to a run of its own
        values = {}
        for set_name, scores in run.values.items():
            bicubic = run.model == "bicubic"  # a baseline has no settings
            settings = "" if bicubic else json.dumps(run.settings, sort_keys=True)
            earlier = seen[run.model, run.source, set_name, settings]
            if not any(_alike(scores, other, DEVICES if bicubic else 0.0) for other in earlier):
                values[set_name] = scores
                earlier.append(scores)
        if values:
            kept.append(replace(run, values=values))
    return kept


def _alike(scores: dict[str, dict[str, float]], others: dict[str, dict[str, float]], tolerance: float) -> bool:
    """Whether there is no picture or metric whose score the others do not have."""
    pairs = (
        (value, others.get(metric, {}).get(name)) for metric, values in scores.items() for name, value in values.items()
    )
    return all(
        b is not None and (math.isclose(a, b, rel_tol=tolerance) or (math.isnan(a) and math.isnan(b))) for a, b in pairs
    )
