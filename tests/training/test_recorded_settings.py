"""The parts of which a run's own settings are read, each alone."""

import math
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.training import recorded_settings as recorded

FILE = Path("run/config.yaml")


def test_what_was_typed_for_one_run_alone_is_left_out() -> None:
    typed = ["model=rdn", "+run_dir=x", "ckpt_path=a", "~data.x", "hydra.run.dir=y", "+hydra/launcher=z", "overrides=1"]
    assert recorded.recorded_overrides({"overrides": typed}) == ["model=rdn", "~data.x"]
    assert recorded.override_key("+data@data.sets.a=b=c") == "data@data.sets.a"
    assert recorded.override_key("~trainer.x") == "trainer.x"


def test_groups(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert recorded.is_group("model=x") and recorded.is_group("+data@data.sets.a=t91")
    assert not recorded.is_group("scale=2") and not recorded.is_group("mine=x")
    assert recorded.is_group("mine=x", [tmp_path])


def test_keys_that_differ() -> None:
    then: dict[str, Any] = {
        "a": 1, "b": {"c": 2, "d": {"e": 3}, "f": math.nan}, "run_dir": "x", "g": {"h": 1}, "gone": None, "z": {"y": 1},
    }  # fmt: skip
    now: dict[str, Any] = {"a": 1.0, "b": {"c": 3, "d": {"e": 4}, "f": math.nan}, "run_dir": "y", "g": 5, "z": {}}
    assert list(recorded._unlike(then, now)) == [
        ("b.c", 2, False), ("b.d.e", 3, False), ("g", {"h": 1}, False), ("gone", None, True), ("z.y", 1, True),
    ]  # fmt: skip
    assert not recorded._same(math.nan, 1.0) and not recorded._same(1.0, math.nan) and not recorded._same("a", math.nan)


def test_values_as_the_config_writes_them() -> None:
    cfg = OmegaConf.create({"a": "${b.c}", "b": {"c": 1, "d": "${a}", "l": [1]}})
    assert recorded._raw(cfg, "a") == "${b.c}" and recorded._raw(cfg, "b.d") == "${a}"
    assert recorded._raw(cfg, "b.none") is None and recorded._raw(cfg, "b.l.0") is None


@pytest.mark.parametrize(
    ("raw", "refers"),
    [("${a.b}", True), ("x${a}", True), ("${f:${a}}", True), ("${f:1,${a}}", True), ("${oc.env:A}", False), (3, False)],
)
def test_values_that_refer_to_others(raw: Any, refers: bool) -> None:
    assert recorded._refers(raw) is refers


def test_values_of_the_machine(tmp_path: Path) -> None:
    assert recorded._is_the_machines("run/a/b", "x", Path("run/a"))
    assert not recorded._is_the_machines("ran/a/b", "x", "run/a") and not recorded._is_the_machines("run/a", "x", None)
    assert not recorded._is_the_machines(3, "${oc.env:A}", "3")
    for raw in ("${oc.env:A}/b", "${data_dir}/b"):
        assert recorded._is_the_machines("/no/folder", raw, None)
        assert not recorded._is_the_machines(str(tmp_path), raw, None)
    assert not recorded._is_the_machines("/no/folder", "${other}", None)
    assert not recorded._is_the_machines("/no/folder", None, None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model._target_", "evil.Net", "runs code that the configs of this library do not name"),
        ("_target_", "evil.Net", "runs code"),
        ("a", {"b": [{"_target_": "evil.Net"}]}, "runs code"),
        ("a", "${oc.env:HOME}", "reads more than settings"),
        ("a", ["x", {"b": "y${f:}"}], "reads more than settings"),
    ],
)
def test_values_that_run_code(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{FILE}: 'typed' {message}"):
        recorded._check_value(key, value, frozenset({"good.Net"}), FILE, "typed")


def test_values_that_run_none() -> None:
    for key, value in (("m._target_", "good.Net"), ("a", {"_target_": "good.Net", "b": ["${a}", 1, None]})):
        recorded._check_value(key, value, frozenset({"good.Net"}), FILE, "typed")


def test_overrides_of_a_file(tmp_path: Path) -> None:
    recorded.check_recorded(["model=rdn", "loss=[l1,dists]", "~data.x", "scheduler=null", "a=1,2", "model=a/b-c"], FILE)
    for override in ("model=../x", "model={a:1}", "model=[x,3]", "model=a/", "model=1"):
        with pytest.raises(ConfigError, match="is no choice of a config"):
            recorded.check_recorded(["scale=2", override], FILE)
    with pytest.raises(CheckpointError, match=f"^{FILE}: '= =' .*is no setting"):
        recorded.check_recorded(["= ="], FILE)
    own = tmp_path / "model"
    own.mkdir()
    (own / "mine.yaml").write_text("_target_:  mine.Net_2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="runs code"):
        recorded.check_recorded(["model._target_=mine.Net_2"], FILE)
    recorded.check_recorded(["model._target_=mine.Net_2"], FILE, [tmp_path])


@pytest.mark.parametrize(
    "value", [None, True, False, 3, 0.5, 1e-06, "a,b", "null", "", [1, [2, "x"]], {"a": {"b": "c d"}}]
)
def test_plain_values_come_back(value: Any) -> None:
    read = OverridesParser.create().parse_override(f"a={recorded._as_hydra_reads(value)}").value()
    assert (read, type(read)) == (value, type(value))
