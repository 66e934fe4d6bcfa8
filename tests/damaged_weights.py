"""Files of weights, damaged at random but repeatably: bits, lengths, and values inside of intact files.

    python tests/damaged_weights.py 3000

prints what came of so many of them. ``tests/weights/test_damaged_weights.py`` runs the first few.
"""

import copy
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sr_lightning.errors import SRError
from sr_lightning.inference.engines.onnx_network import read_onnx
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.edsr import EDSR
from sr_lightning.weights.card import KEY, read_tensors
from sr_lightning.weights.initialise import initialise
from sr_lightning.weights.load import load_model, load_weights
from sr_lightning.weights.portable import write_safetensors

LIMIT = 60  # seconds for one file; what is damaged is told in a fraction of one


def network(seed: int = 0) -> EDSR:
    torch.manual_seed(seed)
    return EDSR(scale=2, num_features=4, num_blocks=1)


def deep(depth: int = 3000) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


#: Values that stand where others belong; functions, so that each is new.
STRANGE: list[Callable[[], Any]] = [
    lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 3, lambda: 4097, lambda: 2**31, lambda: 2**70,
    lambda: 1e308, lambda: float("nan"), lambda: 0.5, lambda: "", lambda: "x" * 100_000, lambda: "../../x",
    lambda: "sr_lightning.models.base.SuperResolutionModule", lambda: "sr_lightning.models..\0.RDN",
    lambda: "sr_lightning.models.rdn.RDN", lambda: "relu", list, dict, lambda: [2, [3]], lambda: [2] * 1000,
    lambda: {"scale": 2, "": {}}, lambda: deep(200), lambda: [2**20] * 2,
]  # fmt: skip

#: Tensors that stand where others belong.
TENSORS: list[Callable[[torch.Tensor], Any]] = [
    lambda x: x * float("nan"), lambda x: x / 0, lambda x: x.long(), lambda x: x.to(torch.complex64),
    lambda x: x.to_sparse(), lambda x: x[None], lambda x: x.reshape(-1)[:1].expand(2**40), lambda x: x.double() * 1e300,
    lambda x: torch.empty(0), lambda x: x.bool(), lambda x: x.to("meta"), lambda x: x.numpy().tobytes(),
    lambda x: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8),
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def replaced(content: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A copy with one value, or one key, that is another."""
    content = copy.deepcopy(content)
    container, key = draw.choice(list(places(content)))
    kind = draw.random()
    if kind < 0.1:
        del container[key]
    elif kind < 0.2 and isinstance(container, dict):
        container[draw.choice([1, "", "net", "x.y", f"{key}.0"])] = container.pop(key)
    elif isinstance(container[key], torch.Tensor) and kind < 0.7:
        container[key] = draw.choice(TENSORS)(container[key])
    else:
        container[key] = draw.choice(STRANGE)()
    return content


def bent(data: bytes, draw: random.Random) -> bytes:
    """Bytes with a flipped bit, a part that is missing, zero or foreign, or a wrong length."""
    at, kind = draw.randrange(len(data)), draw.randrange(6)
    if kind <= 2:
        return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]
    length = draw.randrange(1, 200)
    middle = {3: b"", 4: bytes(length), 5: draw.randbytes(length)}[kind]
    return data[:at] + middle + data[at + length :] if draw.random() < 0.7 else data[:at]


class Makers:
    """Writes damaged files into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        model = network()
        self.checkpoint: dict[str, Any] = {
            "epoch": 3,
            "global_step": 40,
            "state_dict": dict(model.state_dict()),
            "hyper_parameters": dict(model.hparams),
            "optimizer_states": [{"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]}],
            "lr_schedulers": [{"last_epoch": 3}],
            "callbacks": {"RandomState": {"cpu": torch.get_rng_state()}},
            "loops": {"fit_loop": {"state_dict": {}}},
        }
        model.on_save_checkpoint(self.checkpoint)
        torch.save(self.checkpoint, folder / "whole.ckpt")
        write_safetensors(model, folder / "whole.safetensors")
        tensors, text = read_tensors(folder / "whole.safetensors")
        self.tensors, self.card = tensors, json.loads(text or "")
        self.onnx = tiny_onnx()

    def bytes_of(self, name: str, draw: random.Random) -> Path:
        path = self.folder / f"bent_{name}"
        path.write_bytes(bent((self.folder / f"whole.{name}").read_bytes(), draw))
        return path.rename(path.with_suffix(f".{name}"))

    def values_of_checkpoint(self, draw: random.Random) -> Path:
        path = self.folder / "replaced.ckpt"
        torch.save(replaced(self.checkpoint, draw), path, _use_new_zipfile_serialization=draw.random() < 0.8)
        return path

    def card_text(self, draw: random.Random) -> str:
        if draw.random() < 0.05:
            return draw.choice(["[" * 100_000, "", "null", "[]", '{"scale": ' + "9" * 5000 + "}", '{"a": NaN}', "{"])
        card = {name: value for name, value in self.card.items() if name != "sha256"}
        return json.dumps(replaced({"": {**card, "halo": 4, "multiple": 1}}, draw).get("", 3))

    def card_of_safetensors(self, draw: random.Random) -> Path:
        path, tensors = self.folder / "card.safetensors", dict(self.tensors)
        if draw.random() < 0.2:
            name = draw.choice(sorted(tensors))
            tensors[name] = draw.choice([TENSORS[i] for i in (0, 1, 2, 5, 8)])(tensors[name]).contiguous()
        save_file(tensors, path, {KEY: self.card_text(draw)})
        return path

    def card_of_onnx(self, draw: random.Random) -> Path:
        import onnx

        path = self.folder / "card.onnx"
        model = onnx.load_from_string(self.onnx)
        onnx.helper.set_model_props(model, {KEY: self.card_text(draw)})
        path.write_bytes(model.SerializeToString())
        return path

    def next(self, draw: random.Random) -> Path:
        makers: list[Callable[[random.Random], Path]] = [
            lambda d: self.bytes_of("ckpt", d),
            lambda d: self.bytes_of("safetensors", d),
            self.values_of_checkpoint,
            self.values_of_checkpoint,
            self.card_of_safetensors,
            self.card_of_onnx,
        ]
        return draw.choice(makers)(draw)


def tiny_onnx() -> bytes:
    """Nearest neighbours, twice as large."""
    from onnx import TensorProto, helper

    shape = ["n", 3, "h", "w"]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("lr", "sr")]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    node = helper.make_node("Resize", ["lr", "", "scales"], ["sr"], mode="nearest")
    graph = helper.make_graph([node], "tiny", value[:1], value[1:], [scales])
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


def uses(path: Path) -> list[Callable[[], Any]]:
    """All that a user may do with such a file; what gives a network enlarges a small picture, too."""
    picture = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0))

    def enlarged(model: Any) -> SuperResolutionModule:
        out = Upscaler(model).upscale(picture)
        assert out.isfinite().all() and out.shape == (3, 12 * model.scale, 12 * model.scale)
        return model  # type: ignore[no-any-return]

    def into(load: Callable[[EDSR, Path], Any]) -> SuperResolutionModule:
        model = network(1)
        load(model, path)
        return enlarged(model)

    if path.suffix == ".onnx":
        return [lambda: enlarged(read_onnx(path))]
    always = [lambda: enlarged(load_model(path)), lambda: into(load_weights)]
    if path.suffix == ".safetensors":
        return always
    loads: list[Any] = [load_weights, initialise]
    return always + [lambda load=load: into(load) for load in loads]


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TimeoutError where something hangs."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcomes(count: int, folder: Path, seed: int = 0) -> Iterator[tuple[int, Path, str, BaseException | None]]:
    """Number, file, outcome ("refused", "unchanged", "used") and error of every use of so many damaged files."""
    makers, right = Makers(folder), network().state_dict()
    for number in range(count):
        path = makers.next(random.Random(seed * 1_000_003 + number))
        for use in uses(path):
            try:
                with limited(LIMIT):
                    model = use()
            except SRError as error:
                yield number, path, "refused", error
            except BaseException as error:
                yield number, path, "traceback", error
            else:
                same = isinstance(model, EDSR) and all(
                    torch.equal(value, right[name]) for name, value in model.state_dict().items()
                )
                yield number, path, "unchanged" if same else "used", None


def main() -> None:
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, path, outcome, error in outcomes(int(sys.argv[1]), Path(folder), *map(int, sys.argv[2:])):
            total[f"{path.name}: {outcome}"] += 1
            if outcome == "traceback" or (outcome == "refused" and len(str(error)) > 600):
                print(number, path.name, type(error).__name__, str(error)[:300])
                if "--trace" in sys.argv and error is not None:
                    raise error
    for name, times in sorted(total.items()):
        print(f"{times:6} {name}")


if __name__ == "__main__":
    main()
