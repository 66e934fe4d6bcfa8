"""Turns, spreads, memory and parts of a step, with a clock that the test moves."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_lightning.benchmarking.infer import peak
from sr_lightning.benchmarking.machine import speeds
from sr_lightning.benchmarking.memory import peak_mib
from sr_lightning.benchmarking.picture import height_and_width, write_photograph
from sr_lightning.benchmarking.timing import chosen, spread, take_turns, timed
from sr_lightning.benchmarking.train import WARM_UP, _Watch
from sr_lightning.benchmarking.ways import Case
from sr_lightning.errors import ConfigError


class Clock:
    """Shows the time that the test has let pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_ways_take_turns_and_another_begins_each_round() -> None:
    clock, order = Clock(), list[str]()
    pace = {"a": 1.0, "b": 2.0, "c": 4.0}

    def work(name: str) -> None:
        order.append(name)
        clock.wait(pace[name] + len(order))  # the machine becomes slower all the time

    ways = {name: timed(lambda name=name: work(name), clock) for name in pace}  # type: ignore[misc]
    seconds = take_turns(ways, repeats=3, warm_up=1)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert seconds == {"a": [1 + 6, 1 + 8, 1 + 10], "b": [2 + 4, 2 + 9, 2 + 11], "c": [4 + 5, 4 + 7, 4 + 12]}
    assert spread(seconds["a"]) == {"seconds": 9, "low": 7, "high": 11}


def test_a_way_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="ways=tile: there is no such way; did you mean 'tiles'"):
        chosen({"tiles": 1, "whole": 2}, ["tile"])


@pytest.mark.parametrize("size", ["1020", "0x5", "axb", None, 7])
def test_a_size_that_is_none_is_named(size: object) -> None:
    with pytest.raises(ConfigError, match="must be WIDTHxHEIGHT"):
        height_and_width(size)  # type: ignore[arg-type]


def test_peak_memory_is_that_of_the_work_alone() -> None:
    kept = np.ones(32 << 20, np.uint8)

    def work() -> None:
        np.ones(96 << 20, np.uint8)

    assert 90 < peak_mib(work, torch.device("cpu")) < 120
    assert kept.all()


def test_a_case_reaches_another_process_and_has_a_peak(tmp_path: Path) -> None:
    picture = write_photograph(tmp_path / "lr.png", "64x48")
    settings = {"_target_": "sr_lightning.models.Bicubic", "scale": 2}
    case = Case("bicubic", settings, None, picture, "float32", torch.device("cpu"))
    assert pickle.loads(pickle.dumps(case)) == case
    assert peak("whole", case, torch.get_num_threads()) >= 0


def test_a_step_is_split_into_waiting_working_and_the_rest() -> None:
    clock = Clock()
    watch = _Watch(clock, 3)
    for index in range(WARM_UP + 3):
        watch.on_train_batch_start(None, None, None, index)
        clock.wait(4)
        if index >= WARM_UP:
            watch.working += 3
        watch.on_train_batch_end(None, None, None, None, index)
        watch.profiler.recorded_durations["[_TrainingEpochLoop].train_dataloader_next"].append(0.5)
        clock.wait(1)
    step = watch.step()
    seconds = 3 * 4 + 2  # three steps and what lies between them
    assert (step.seconds, step.waiting, step.own) == (
        seconds / 3,
        1 / seconds,
        pytest.approx(1 - 1 / seconds - 9 / seconds),
    )


def test_half_precision_is_measured_only_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.benchmarking.machine.fastest_precision", lambda device: "float32")
    found = speeds(torch.device("cpu"))
    assert set(found) == {"float32 GFLOP/s", "copy GB/s"} and min(found.values()) > 0
