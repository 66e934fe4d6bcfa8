"""A result beside an earlier one: ratios, what differs in the machine, and whether a row became worse."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sr_lightning.atomic import expand_home
from sr_lightning.benchmarking.report import Row, name_of
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.evaluation.scoring import markdown

#: What must not grow, with the growth that says nothing whatever the ratio is.
_SMALLER = {"seconds": 0.0, "processor seconds": 0.02, "peak MiB": 16.0, "modules": 5.0}

Result = dict[str, Any]


def read_result(path: str, settings: dict[str, Any]) -> Result:
    """The result that an earlier run wrote.

    Args:
        path: The file.
        settings: What the earlier run must have measured, too.

    Raises:
        ConfigError: If the file is none, or of other work.
    """
    try:
        result = json.loads(expand_home(path).read_text(encoding="utf-8"))
        names = [name_of(row) for row in result["rows"]]
        _flat(result["machine"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"compare={path}: is no result of benchmark; output=FILE.json writes one") from None
    for key, value in settings.items():
        if result.get(key) != value:
            raise ConfigError(f"compare={path}: was measured with {key}={result.get(key)}, this would be {value}")
    if not names:
        raise ConfigError(f"compare={path}: holds no rows; measure again with output=FILE.json")
    return dict(result)


def compare(earlier: Result, result: Result, *, tolerance: float, name: str) -> None:
    """Prints ratios to an earlier result.

    Args:
        earlier: The earlier result.
        result: The new one.
        tolerance: How many times larger a number may become. It may grow further within the spread of both.
        name: The file of the earlier one, for messages.

    Raises:
        SRError: If a row is worse, or none can be compared.
    """
    old = {name_of(row): row for row in earlier["rows"]}
    new = {name_of(row): row for row in result["rows"]}
    both = [key for key in new if key in old]
    for line in differences(earlier["machine"], result["machine"]):
        print(line)
    if missing := [key for key in old if key not in new]:
        print(f"only in {name}: {'; '.join(missing)}")
    if not both:
        raise SRError(f"compare={name}: has no row of this run; choose the same model= and ways=")
    measured = [key for key in _SMALLER if any(key in row for row in new.values())]
    print(markdown([{"row": row, **_ratios(old[row], new[row], measured)} for row in both]))
    slower = slowdown(earlier["machine"].get("speeds", {}), result["machine"].get("speeds", {}))
    if slower > 1:
        print(f"this machine was {slower:.2f} times slower in this run; so much is no regression")
    worse = [sentence for key in both for sentence in regressions(key, old[key], new[key], tolerance, slower)]
    if worse:
        raise SRError(f"compare={name}: worse beyond tolerance={tolerance:g}: {'; '.join(worse)}")


def slowdown(old: dict[str, float], new: dict[str, float]) -> float:
    """How many times slower a machine became in what it can do, at most; 1 if nothing became slower.

    Example:
        >>> slowdown({"copy GB/s": 10.0, "float32 GFLOP/s": 90.0}, {"copy GB/s": 5.0, "float32 GFLOP/s": 100.0})
        2.0
    """
    return max([1.0, *(old[key] / new[key] for key in old.keys() & new.keys() if new[key] > 0)])


def regressions(name: str, old: Row, new: Row, tolerance: float, slower: float = 1.0) -> Iterator[str]:
    """What became worse in a row, on a machine that was ``slower`` times slower.

    Example:
        >>> old = {"seconds": 1.0, "low": 0.9, "high": 1.1}
        >>> list(regressions("psnr", old, {"seconds": 1.5, "low": 1.0, "high": 1.6}, 1.1))  # the spreads overlap
        []
        >>> list(regressions("psnr", old, {"seconds": 1.5, "low": 1.2, "high": 1.6}, 1.1))
        ['psnr takes 1.50 times the seconds']
    """
    for key, nothing in _SMALLER.items():
        before, after = old.get(key), new.get(key)
        allowed = slower if key in ("seconds", "processor seconds") else 1.0
        if before is None or after is None or after <= before * tolerance * allowed or after - before <= nothing:
            continue
        if key == "seconds" and new["low"] <= old["high"] * allowed:
            continue
        yield f"{name} takes {after / before:.2f} times the {key}" if before else f"{name} takes {after:g} {key}"


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Where two machines differ, a line for each fact; speeds are measured, so that a few percent are no difference.

    Example:
        >>> differences({"threads": 2, "speeds": {"copy GB/s": 10.0}}, {"threads": 4, "speeds": {"copy GB/s": 10.5}})
        ['threads: 2 there, 4 here']
    """
    old, new = _flat(old), _flat(new)
    return [
        f"{key}: {_shown(old.get(key))} there, {_shown(new.get(key))} here"
        for key in {**old, **new}
        if not _alike(old.get(key), new.get(key))
    ]


def _ratios(old: Row, new: Row, keys: Iterable[str]) -> dict[str, str]:
    cells = {}
    for key in keys:
        before, after = old.get(key), new.get(key)
        cells[f"{key} there"] = _shown(before)
        cells[f"{key} here"] = _shown(after)
        cells[f"ratio of {key}"] = f"{after / before:.2f}" if before and after is not None else ""
    return cells


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of facts by one name each."""
    parts = [_flat(value).items() if isinstance(value, dict) else [("", value)] for value in facts.values()]
    return {f"{key} {inner}".strip(): value for key, each in zip(facts, parts, strict=True) for inner, value in each}


def _alike(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return max(old, new) <= 1.2 * min(old, new)
    return old == new


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
