"""Interleaved runs: what is compared takes turns, so that a slow minute of the machine is slow for all."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import torch

from sr_lightning.devices import is_gpu, synchronize
from sr_lightning.errors import ConfigError, nearest

Clock = Callable[[], float]
Result = TypeVar("Result")
Way = TypeVar("Way")
Key = TypeVar("Key", bound=Hashable)


def take_turns(ways: Mapping[Key, Callable[[], Result]], repeats: int, *, warm_up: int = 1) -> dict[Key, list[Result]]:
    """Results of each way, one for each round. In every round, another way begins.

    Args:
        ways: What to call, by name.
        repeats: Rounds that count.
        warm_up: Rounds before them that do not: first calls allocate, compile and read files.

    Example:
        >>> called = []
        >>> ways = {name: lambda name=name: called.append(name) for name in "ab"}
        >>> _ = take_turns(ways, repeats=2, warm_up=0)
        >>> called
        ['a', 'b', 'b', 'a']
    """
    names = list(ways)
    results: dict[Key, list[Result]] = {name: [] for name in names}
    for turn in range(warm_up + repeats):
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            result = ways[name]()
            if turn >= warm_up:
                results[name].append(result)
    return results


def timed(work: Callable[[], object], clock: Clock = time.perf_counter) -> Callable[[], float]:
    """The same work as a function that returns the seconds it took."""

    def seconds() -> float:
        begin = clock()
        work()
        return clock() - begin

    return seconds


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of some times.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        {'seconds': 2.0, 'low': 1.0, 'high': 3.0}
    """
    return {"seconds": statistics.median(seconds), "low": min(seconds), "high": max(seconds)}


def ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """The median over the rounds of one way's time by another's in the same round.

    Example:
        >>> ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
        2.0
    """
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


def clock_of(device: torch.device) -> Clock:
    """A clock that waits until the device has done what it was given."""
    if not is_gpu(device):
        return time.perf_counter

    def clock() -> float:
        synchronize(device)
        return time.perf_counter()

    return clock


def chosen(ways: Mapping[str, Way], names: Sequence[str]) -> dict[str, Way]:
    """The ways of these names, or every way for ``all``.

    Raises:
        ConfigError: If there is no such way.

    Example:
        >>> chosen({"psnr": 1, "ssim": 2}, ["ssim"]), chosen({"psnr": 1}, ["all"])
        ({'ssim': 2}, {'psnr': 1})
    """
    if list(names) == ["all"]:
        return dict(ways)
    for name in names:
        if name not in ways:
            raise ConfigError(f"ways={name}: there is no such way; {nearest(str(name), [*ways, 'all'])}")
    return {name: ways[name] for name in names}
