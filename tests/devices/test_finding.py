"""Devices are found by name; of those that are not here, one sentence says which are."""

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_lightning import devices
from sr_lightning.config import compose
from sr_lightning.config.devices import fastest_precision, trainers_precision, warn_of_emulation
from sr_lightning.devices import finding
from sr_lightning.errors import ConfigError

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes torch say that these GPUs are there, so many of each."""

    def make(**counts: int) -> None:
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: "mps" in counts)
        for kind in ("cuda", "xpu"):
            monkeypatch.setattr(f"torch.{kind}.is_available", lambda kind=kind: kind in counts)
            monkeypatch.setattr(f"torch.{kind}.device_count", lambda kind=kind: counts.get(kind, 0))
        monkeypatch.setattr("torch.zeros", lambda *size, device: SimpleNamespace(cpu=lambda: None))

    return make


@pytest.mark.parametrize(
    ("counts", "fastest"),
    [({}, "cpu"), ({"mps": 1}, "mps"), ({"xpu": 1}, "xpu"), ({"cuda": 1, "xpu": 2}, "cuda"), ({"cuda": 2}, "cuda")],
)
def test_the_fastest(counts: dict[str, int], fastest: str, machine: Machine) -> None:
    machine(**counts)
    assert devices.fastest_device() == fastest
    assert compose("evaluate", []).device == compose("benchmark", []).device == fastest
    assert devices.pins_memory() is (fastest in ("cuda", "xpu"))


@pytest.mark.parametrize("name", ["cpu", "mps", "mps:0", "xpu", "xpu:1", "cuda", "cuda:0"])
def test_found_by_name(name: str, machine: Machine) -> None:
    machine(cuda=1, xpu=2, mps=1)
    assert devices.found_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "counts", "sentence"),
    [
        ("mps", {}, "device=mps: torch finds none on this machine; type device=cpu"),
        ("xpu", {"mps": 1}, "device=xpu: torch finds none on this machine; type device=cpu or device=mps"),
        ("cuda:1", {"cuda": 1}, "device=cuda:1: the machine has cuda:0; type device=cpu or device=cuda"),
        ("xpu:3", {"xpu": 2}, "device=xpu:3: the machine has xpu:0 to xpu:1; type device=cpu or device=xpu"),
        ("mps:1", {"mps": 1}, "device=mps:1: the machine has mps:0; type device=cpu or device=mps"),
        ("gpu", {}, "device=gpu: there is no device of that name; type device=cpu"),
        ("", {}, "device=: there is no device of that name; type device=cpu"),
        ("cuda:x", {"cuda": 1}, "device=cuda:x: there is no device of that name; type device=cpu or device=cuda"),
        ("rocm", {"cuda": 1}, "device=rocm: PyTorch calls AMD's GPUs cuda; type device=cpu or device=cuda"),
        ("hip:0", {}, "device=hip:0: PyTorch calls AMD's GPUs cuda; type device=cpu"),
    ],
)
def test_one_that_is_not_here(name: str, counts: dict[str, int], sentence: str, machine: Machine) -> None:
    machine(**counts)
    with pytest.raises(ConfigError) as error:
        devices.found_device(name)
    assert str(error.value) == sentence


def test_one_that_is_there_and_does_not_work(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*size: int, device: torch.device) -> None:
        raise RuntimeError("the driver is too old\nand much more")

    machine(cuda=1)
    monkeypatch.setattr("torch.zeros", broken)
    with pytest.raises(ConfigError, match=r"^device=cuda: torch cannot compute there \(the driver is too old\); type "):
        devices.found_device("cuda")


@pytest.mark.parametrize("name", ["vulkan", "meta"])
def test_names_of_torch_that_compute_nothing_here(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^device={name}: torch cannot compute there"):
        devices.found_device(name)


@pytest.mark.parametrize(("hip", "name"), [(None, "MI300X"), ("6.4.1", "MI300X (ROCm 6.4.1)")])
def test_rocm_is_named(hip: str | None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "MI300X")
    monkeypatch.setattr("torch.version.hip", hip)
    assert devices.device_name("cuda") == name


@pytest.mark.parametrize(
    ("device", "supported", "precision"),
    [("mps", True, "float32"), ("xpu", True, "bf16"), ("xpu", False, "float32"), ("xpu", None, "float32"),
     ("cuda", True, "bf16"), ("cuda", False, "float32")],
)  # fmt: skip
def test_precision_of_each(
    device: str, supported: bool | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device != "mps":
        if supported is None:  # torch 2.6
            monkeypatch.delattr(f"torch.{device}.is_bf16_supported")
        else:
            monkeypatch.setattr(f"torch.{device}.is_bf16_supported", lambda including_emulation: supported)
    assert fastest_precision(device) == precision


def test_precision_of_a_trainer_is_that_of_a_device_that_trains(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_lightning.config.devices.fastest_precision", lambda device: device)
    for counts, kind in (({"xpu": 1}, "cpu"), ({"mps": 1}, "mps"), ({"cuda": 1, "xpu": 1}, "cuda")):
        machine(**counts)
        assert trainers_precision() == kind


@pytest.mark.parametrize(("device", "precision"), [("mps", "fp16"), ("mps", "bf16"), ("xpu", "fp16")])
def test_no_warning_where_nothing_is_emulated(device: str, precision: str, recwarn: pytest.WarningsRecorder) -> None:
    warn_of_emulation("precision", precision, device)
    assert not recwarn


def test_memory_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (4 << 30, 8 << 30))
    monkeypatch.setattr("torch.xpu.mem_get_info", lambda device: (2 << 30, 8 << 30), raising=False)
    monkeypatch.setattr("torch.mps.recommended_max_memory", lambda: 6 << 30)
    monkeypatch.setattr("torch.mps.driver_allocated_memory", lambda: 1 << 30)
    free = {kind: devices.free_bytes(kind) / (1 << 30) for kind in ("cuda:0", "xpu", "mps", "cpu")}
    assert free == {"cuda:0": 4, "xpu": 2, "mps": 5, "cpu": float("inf")}


def test_xpu_before_torch_2_7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.xpu.mem_get_info", raising=False)
    monkeypatch.setattr("torch.xpu.memory_reserved", lambda device: 1 << 30)
    monkeypatch.setattr("torch.xpu.get_device_properties", lambda device: SimpleNamespace(total_memory=3 << 30))
    assert devices.free_bytes("xpu") == 2 << 30


def test_an_apple_gpu_takes_no_more_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.inference import memory

    monkeypatch.setattr(memory, "free_memory", lambda: 100.0)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 400.0)
    assert [memory.memory_for_features(torch.device(kind)) for kind in ("cpu", "mps", "xpu", "cuda")] == [
        25,
        25,
        100,
        100,
    ]


def test_peak_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {"reset_peak_memory_stats": None, "memory_allocated": 10, "max_memory_allocated": 35}
    for name, value in said.items():
        monkeypatch.setattr(f"torch.xpu.{name}", lambda device, value=value: value)
    assert devices.peak_bytes(lambda: None, "xpu") == 25
    kept = iter([10, 40])
    monkeypatch.setattr("torch.mps.empty_cache", lambda: None)
    monkeypatch.setattr("torch.mps.driver_allocated_memory", lambda: next(kept))
    assert devices.peak_bytes(lambda: None, "mps") == 30


def test_each_waits_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr("torch.mps.synchronize", lambda: waited.append("mps"))
    for kind in ("cuda", "xpu"):
        monkeypatch.setattr(f"torch.{kind}.synchronize", lambda device: waited.append(str(device)))
    for kind in ("cpu", "mps", "xpu:1", "cuda"):
        devices.synchronize(kind)
    assert waited == ["mps", "xpu:1", "cuda"]


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_copies_to_the_cpu(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []

    class There:
        device = torch.device(kind)

        def to(self, name: str, non_blocking: bool = False) -> str:
            done.append(non_blocking)
            return "copy"

    event = SimpleNamespace(record=lambda: done.append("recorded"), synchronize=lambda: done.append("waited"))
    monkeypatch.setattr(f"torch.{kind}.Event", lambda: event, raising=False)
    there: Any = There()
    copies, wait = devices.copied_to_cpu(there, there)
    assert [*copies] == ["copy", "copy"]
    if kind == "mps":  # whose copies without waiting hold anything
        assert wait is None and done == [False, False]
    else:
        assert wait is not None
        wait()
        assert done == [True, True, "recorded", "waited"]


def test_random_states_of_all(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(xpu=1, mps=1)
    states = {kind: torch.tensor([i], dtype=torch.uint8) for i, kind in enumerate(("xpu", "mps"))}
    put = {}
    for kind in states:
        monkeypatch.setattr(f"torch.{kind}.get_rng_state", lambda kind=kind: states[kind])
        monkeypatch.setattr(f"torch.{kind}.set_rng_state", lambda state, kind=kind: put.update({kind: state}))
    kept = devices.random_states()
    assert {*kept} == {"cpu", "xpu", "mps"}
    with devices.random_states_kept():
        drawn = torch.rand(3)
    assert put == states and torch.equal(torch.rand(3), drawn)
    put.clear()
    machine()
    devices.set_random_states({**kept, "cuda": states["xpu"]})  # another machine's
    assert not put


def test_caches_of_all_gpus_are_emptied(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = []
    for kind in finding.GPUS:
        monkeypatch.setattr(f"torch.{kind}.empty_cache", lambda kind=kind: emptied.append(kind))
    machine(mps=1, xpu=1)
    devices.empty_caches()
    assert emptied == ["xpu", "mps"]


def test_engines_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.inference.engines import choosing

    monkeypatch.setattr(choosing, "find_spec", lambda name: True)
    monkeypatch.setattr(choosing, "version", lambda name: "1")
    found = {kind: [*choosing.engines_here(torch.device(kind))] for kind in ("cuda", "xpu", "mps")}
    assert found == {"cuda": ["torch", "compile"], "xpu": ["torch", "compile"], "mps": ["torch"]}


def test_asking_imports_no_torch() -> None:
    program = "import sys, sr_lightning.devices, sr_lightning.config.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
