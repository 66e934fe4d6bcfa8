"""What is measured once is remembered in the user's cache folder."""

from pathlib import Path

import pytest

from sr_lightning.measured import default_cache, measured_once, processor


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SR_CACHE": "/a"}, "/a"),
        ({"SR_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/sr_lightning"),
        ({}, "~/.cache/sr_lightning"),
    ],
)
def test_default_cache(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_cache() == Path(expected).expanduser()


def test_a_key_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_CACHE", str(tmp_path))
    key = {"network": "a", **processor("cpu")}
    assert measured_once(key, lambda: {"x": 1.0}) == measured_once(key, lambda: {"x": 2.0}) == {"x": 1.0}
    assert measured_once({**key, "torch": "other"}, lambda: {"x": 2.0}) == {"x": 2.0}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"numbers": {"x": "text"}}', '{"numbers": [1]}'])
def test_a_damaged_memory_is_measured_anew(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_CACHE", str(tmp_path))
    measured_once({}, lambda: {"x": 1.0})
    (file,) = (tmp_path / "measured").iterdir()
    file.write_text(content)
    assert measured_once({}, lambda: {"x": 2.0}) == measured_once({}, lambda: {"x": 3.0}) == {"x": 2.0}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SR_CACHE", str(tmp_path / "file"))
    assert measured_once({}, lambda: {"x": 1.0}) == {"x": 1.0}


@pytest.mark.parametrize("numbers", [{}, {"x": 1.0}, {"x": 1.0, "y": float("nan")}])
def test_what_lacks_a_number_is_measured_anew(
    numbers: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SR_CACHE", str(tmp_path))
    measured_once({}, lambda: numbers)
    whole = {"x": 2.0, "y": 3.0}
    assert measured_once({}, lambda: whole, ["x", "y"]) == measured_once({}, dict, ["x", "y"]) == whole


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert measured_once({}, lambda: {"x": 1.0}) == {"x": 1.0}
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/sr_lightning")


def test_devices_are_told_apart() -> None:
    assert processor("mps") != processor("cpu")
