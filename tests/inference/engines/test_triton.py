"""The model repository for Triton, by the rules of its ``model_config.proto``."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.export import export
from sr_lightning.inference.engines import triton
from sr_lightning.inference.engines.triton import TritonSettings, export_triton
from sr_lightning.models.edsr import EDSR

onnx = pytest.importorskip("onnx")

#: Messages by their fields: a type of values, or the message inside; lists of one are repeated.
_PARAMETER = {"key": str, "value": {"string_value": str}}
_TENSOR = {"name": str, "data_type": {"TYPE_FP32", "TYPE_FP16", "TYPE_FP64"}, "dims": [int]}
RULES = {
    "name": str,
    "backend": str,
    "max_batch_size": int,
    "input": [_TENSOR],
    "output": [_TENSOR],
    "dynamic_batching": {"max_queue_delay_microseconds": int},
    "instance_group": [{"count": int, "kind": {"KIND_AUTO", "KIND_CPU", "KIND_GPU"}}],
    "parameters": [_PARAMETER],
}


def parsed(text: str, rules: dict[str, Any]) -> dict[str, Any]:
    """A message in protobuf's text format; whatever the rules do not know fails."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[\w.-]+|[^\s\w]', text)
    message, rest = _message(tokens, rules)
    assert not rest, rest
    return message


def _message(tokens: list[str], rules: Any) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    while tokens and tokens[0] != "}":
        name, *tokens = tokens
        kind, several = (rules[name][0], True) if isinstance(rules[name], list) else (rules[name], False)
        if tokens[0] == "{":
            value, tokens = _message(tokens[1:], kind)
            assert tokens.pop(0) == "}"
            values = [value]
        else:
            assert tokens.pop(0) == ":"
            words = [tokens.pop(0)]
            if words == ["["]:
                assert several
                end = tokens.index("]")
                words, tokens = [word for word in tokens[:end] if word != ","], tokens[end + 1 :]
            values = [_value(word, kind) for word in words]
        assert several or name not in found, f"{name} is given twice"
        found[name] = found.get(name, []) + values if several else values[0]
    return found, tokens


def _value(word: str, kind: Any) -> Any:
    if kind is str:
        assert word[0] == word[-1] == '"'
        return word[1:-1]
    if isinstance(kind, set):
        assert word in kind
        return word
    return kind(word)


@pytest.fixture(scope="module")
def model() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=8, num_blocks=1).eval()


@pytest.fixture(scope="module")
def folder(model: EDSR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("repository") / "edsr"
    export_triton(model, path, settings=TritonSettings(max_batch_size=4, delay_us=100, instances=2, device="gpu"))
    return path


def test_the_layout_is_that_of_a_repository(folder: Path) -> None:
    files = sorted(path.relative_to(folder.parent).as_posix() for path in folder.parent.rglob("*") if path.is_file())
    assert files == ["edsr/1/model.onnx", "edsr/config.pbtxt"]


def test_the_config_is_that_of_the_file(folder: Path) -> None:
    config = parsed((folder / "config.pbtxt").read_text(encoding="utf-8"), RULES)
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("edsr", "onnxruntime", 4)
    assert config["dynamic_batching"] == {"max_queue_delay_microseconds": 100}
    assert config["instance_group"] == [{"count": 2, "kind": "KIND_GPU"}]
    graph = onnx.load(folder / "1/model.onnx").graph
    for key, values in (("input", graph.input), ("output", graph.output)):
        assert [each["name"] for each in config[key]] == [value.name for value in values]
        for each, value in zip(config[key], values, strict=True):
            dims = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
            assert dims[0] == -1 and each["dims"] == dims[1:] == [3, -1, -1]
            assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and each["data_type"] == "TYPE_FP32"
    told = {each["key"]: each["value"]["string_value"] for each in config["parameters"]}
    assert (told["network"], told["scale"], int(told["halo"]) > 0) == ("EDSR", "2", True)


def test_onnxruntime_runs_batches_of_any_size(model: EDSR, folder: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(folder / "1/model.onnx"), providers=["CPUExecutionProvider"])
    config = parsed((folder / "config.pbtxt").read_text(encoding="utf-8"), RULES)
    for shape in ((1, 3, 20, 30), (4, 3, 17, 23)):
        lr = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        (sr,) = session.run([config["output"][0]["name"]], {config["input"][0]["name"]: lr.numpy()})
        with torch.inference_mode():
            assert np.abs(sr - model(lr).numpy()).max() < 1e-5


def test_what_fails_leaves_what_was_there(
    model: EDSR, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net/1").mkdir(parents=True)
    (tmp_path / "net/1/model.onnx").write_text("old")
    written = (folder / "1/model.onnx").read_bytes()
    monkeypatch.setattr(triton, "export_network", lambda model, path, *_: path.write_bytes(written))  # takes seconds
    with monkeypatch.context() as patch:
        patch.setattr(triton, "triton_config", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_triton(model, tmp_path / "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert (tmp_path / "net/1/model.onnx").read_text() == "old"
    export_triton(model, tmp_path / "net")
    assert (tmp_path / "net/1/model.onnx").read_bytes() == written
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["1", "config.pbtxt"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = export(compose("export", ["format=triton", "output=repository", "weights=espcn", "precision=fp16"]))
    assert path.as_posix() == "repository/espcn_fp16"
    config = parsed((path / "config.pbtxt").read_text(encoding="utf-8"), RULES)
    assert config["max_batch_size"] == 8 and config["input"][0]["data_type"] == "TYPE_FP32"
    with pytest.raises(ConfigError, match="exists already; overwrite=true replaces it, output=FOLDER"):
        export(compose("export", ["format=triton", "output=repository", "weights=espcn", "precision=fp16"]))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"max_batch_size": 0}, "triton.max_batch_size=0: must be a whole number above 0"),
        ({"device": "tpu"}, "triton.device=tpu: must be auto, cpu or gpu"),
    ],
)
def test_settings_that_triton_refuses(setting: dict[str, Any], words: str, model: EDSR, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        export_triton(model, tmp_path / "net", settings=TritonSettings(**setting))
    assert not any(tmp_path.iterdir())
