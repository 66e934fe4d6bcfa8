"""What is typed, as Hydra reads it."""

import os
import re
from pathlib import Path

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sr_lightning.config import build, compose
from sr_lightning.config.devices import fastest_precision
from sr_lightning.config.quoting import with_quoted_paths
from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.half_precision import half_precision
from sr_lightning.training.building import build_trainer

NAMES = [
    "a,b.png", "a=b.png", "a[1].png", "(a).png", "it's.png", 'say "x".png', "#h.png", "a b.png", "back\\", "{c}.png",
    "müller.png", "写真.png", "😀.png", "テスト ♥.png", "a\u2013b.png", "~a.png", "a&b!^<c>.png", "pay$day.png",
    "${scale}.png", "\\${scale}.png", "123", "1e5", "true", "[x].png", "a: b.png", "100%.png", "a;b|c.png",
    "jörg/é.png", "null.png",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_need_no_quotes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    (typed,) = with_quoted_paths([f"input={path}"])
    assert compose("upscale", [typed]).input == str(path)
    assert with_quoted_paths([typed]) == [typed]


@pytest.mark.parametrize("name", [name for name in NAMES if "${" not in name])  # unless there is a file of this name
@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("upscale", "output"), ("upscale", "pattern"), ("train", "ckpt_path"), ("train", "data.hr_dir"),
        ("train", "data_dir"), ("export", "calibration"), ("evaluate", "weights"), ("prepare", "shards"),
        ("train", "init_from"), ("train", "data.file"), ("train", "data.root"), ("evaluate", "checkpoint"),
    ],
)  # fmt: skip
def test_every_key_that_holds_a_path_takes_every_name_that_can_be_made(command: str, key: str, name: str) -> None:
    expected = os.path.expanduser(name) if name.startswith("~") else name  # noqa: PTH111
    (typed,) = with_quoted_paths([f"{key}={name}"])
    assert OverridesParser.create().parse_override(typed).value() == expected
    if name == NAMES[5]:  # composing takes long, and shows no more than that the key is there
        data = {"data.hr_dir": "folder", "data.file": "hdf5", "data.root": "div2k"}.get(key)
        cfg = compose(command, [f"{key}={name}", *([f"data={data}"] if data else [])])
        assert OmegaConf.select(cfg, key) == expected


def test_the_folder_of_a_run_takes_every_name() -> None:
    for name in NAMES:
        if "${" not in name:
            (typed,) = with_quoted_paths([f"hydra.run.dir={name}"])
            assert OverridesParser.create().parse_override(typed).value() == name


def test_home_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jörg")
    assert with_quoted_paths(["input=~/a.png", "scale=2"]) == ['input="/home/jörg/a.png"', "scale=2"]


def test_what_is_no_path_stays(tmp_path: Path) -> None:
    typed = [
        "model=rdn", "data.weights=[3,1]", "input=null", "input=", "~data.file", "~data.file=a.h5", "-input=a",
        "input=[a,b]", "data.val_list={a:b}", "loss.weights={pixel:1}", "input='a b.png'",
    ]  # fmt: skip
    assert with_quoted_paths(typed) == typed
    assert compose("train", ["data=t91", "data_dir=here"]).data.root == "here/T91"
    assert compose("train", ["data=t91", "data.root=${data_dir}/x", "data_dir=here"]).data.root == "here/x"


def test_commas_of_a_sweep_part_its_values() -> None:
    typed = ["input=a.png,b ä.png", "checkpoint=glob(*)"]
    assert with_quoted_paths(typed, sweep=True) == ['input="a.png","b ä.png"', "checkpoint=glob(*)"]


def test_a_comma_is_explained() -> None:
    with pytest.raises(
        ConfigError,
        match=r"type 'scale=\"2,3\"'; for several runs, type: python -m sr_lightning.upscale -m scale=2,3$",
    ):
        compose("upscale", ["scale=2,3"])


def test_what_data_sets_inherit_is_no_choice() -> None:
    with pytest.raises(ConfigError, match="there are benchmarks") as error:
        compose("train", ["data=zzz"])
    assert {"batches", "pictures", "base"}.isdisjoint(re.findall(r"\w+", str(error.value)))


@pytest.mark.parametrize(
    ("instructions", "limit", "precision"),
    [
        ("AVX512", None, "bf16"),
        ("AVX512", "AVX512_CORE_AMX", "bf16"),
        ("AVX512", "avx512_core", "float32"),
        ("AVX512", "AVX2", "float32"),
        ("AVX2", None, "float32"),
    ],
)
def test_an_imitated_processor_has_its_own_precision(
    instructions: str, limit: str | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: instructions)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert fastest_precision("cpu") == precision


@pytest.mark.parametrize("native", [True, False])
def test_emulated_precision_is_told_before_the_work(
    native: bool, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: native)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    half_precision("bf16", torch.device("cpu"))
    build_trainer(compose("train", ["trainer=cpu", "trainer.precision=bf16", "logger=none"]), Path("run"))
    half_precision("float32", torch.device("cpu"))
    half_precision("auto", torch.device("cpu"))
    told = [str(w.message) for w in recwarn if "does not multiply it natively" in str(w.message)]
    assert [line.split(":")[0] for line in told] == ([] if native else ["precision=bf16", "trainer.precision=bf16"])


LEFT_OVER = {"adam": "optimizer.momentum", "soap": "optimizer.momentum", "none": "scheduler.milestones"}


@pytest.mark.parametrize("typed", LEFT_OVER)
def test_settings_that_an_experiment_leaves_for_another_choice_are_refused(typed: str) -> None:
    """They would end in an error of torch when training begins, or mean nothing."""
    group = LEFT_OVER[typed].split(".")[0]
    node = compose("train", ["experiment=vdsr_mixed", f"{group}={typed}"])[group]
    with pytest.raises(ConfigError, match=rf"{re.escape(LEFT_OVER[typed])}: .*has no such setting"):
        build(node)([{"params": [torch.zeros(2, requires_grad=True)]}])
