"""Files, options and keys as they are typed, and the list of commands."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from running import fails, run_here
from sr_lightning.cli.arguments import WITHOUT_KEY, with_keys
from sr_lightning.config import CONF_DIR, in_hydras_grammar
from sr_lightning.errors import ConfigError

COMMANDS = sorted(path.stem for path in CONF_DIR.glob("*.yaml"))


@pytest.mark.parametrize(
    ("command", "typed", "read"),
    [
        ("upscale", ["photo.png"], ["input=photo.png"]),
        ("upscale", ["photos/", "factor=4"], ["factor=4", "input=photos/"]),
        ("upscale", ["a.png", "b.jpg", "-o", "out"], ["output=out", 'input=["a.png","b.jpg"]']),
        ("upscale", ["--input", "photo.png"], ["input=photo.png"]),
        ("upscale", ["--input=photo.png", "--back-projection=3"], ["input=photo.png", "back_projection=3"]),
        ("upscale", ["--overwrite", "a.png"], ["overwrite=true", "input=a.png"]),
        ("upscale", ["--overwrite", "skip", "a.png"], ["overwrite=skip", "input=a.png"]),
        ("upscale", ["a.png", "--cfg", "job", "-m", "scale=2,3"], ["--cfg", "job", "-m", "scale=2,3", "input=a.png"]),
        ("upscale", ["--", "--a.png"], ["input=--a.png"]),
        ("upscale", ["~/a.png"], ["input=~/a.png"]),
        ("upscale", ["https://host/a.png?sig=a%2Fb=", "-o", "x"], ["output=x", "input=https://host/a.png?sig=a%2Fb="]),
        ("upscale", ["@s3://bucket/a=b.txt"], ["input=@s3://bucket/a=b.txt"]),
        ("upscale", ["'photos/*.png'"], ["input='photos/*.png'"]),
        ("train", ["model=rdn", "--data.batch_size", "4"], ["model=rdn", "data.batch_size=4"]),
        ("train", ["~data.file", "+x=1", "nothing=1"], ["~data.file", "+x=1", "nothing=1"]),
        ("train", ["--config-dir", "mine", "hydra.run.dir=x"], ["--config-dir", "mine", "hydra.run.dir=x"]),
        ("report", ["runs/", "--metrics", "psnr"], ["metrics=psnr", "runs=runs/"]),
        ("report", ["runs=x"], ["runs=x"]),
        ("export", ["best.ckpt"], ["weights=best.ckpt"]),
        ("evaluate", ["best.ckpt", "data=samples"], ["data=samples", "weights=best.ckpt"]),
        ("demo", [], []),
    ],
)
def test_what_is_typed_becomes_keys(
    command: str, typed: list[str], read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_keys(typed, command) == read
    assert with_keys(read, command) == read  # the processes of a distributed run read it again


@pytest.mark.parametrize(
    ("command", "typed", "sentence"),
    [
        ("upscale", ["scale"], "scale: the value is missing; type scale=VALUE"),
        ("upscale", ["--scale"], "--scale: the value is missing; type scale=VALUE"),
        ("upscale", ["span"], "span: type model=span"),
        ("upscale", ["--inptu", "a.png"], "--inptu: there is no such option; did you mean 'input'"),
        ("upscale", ["a.png", "input=b.png"], "a.png: input= is typed too; type all without input="),
        ("train", ["espcn"], "espcn: type model=espcn"),
        ("train", ["a.png"], "a.png: arguments are KEY=VALUE; --help lists the keys"),
        ("prepare", ["a", "b c"], "a 'b c': prepare takes one input=; type one name"),
        ("report", ["runs", "more"], "runs more: report takes one runs=; type one name"),
    ],
)
def test_what_is_no_argument(
    command: str, typed: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        with_keys(typed, command)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "name", ["a=b.png", "x,y.png", "[1].png", "{2}.png", "~a.png", "it's.png", "-a.png", "a b.png"]
)
def test_a_file_may_have_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (name, "other.png"):
        (tmp_path / file).touch()
    for typed, value in (([name], name), ([name, "other.png"], [name, "other.png"])):
        (read,) = in_hydras_grammar("upscale", with_keys(typed, "upscale"))
        assert OverridesParser.create().parse_override(read).value() == value


def test_a_key_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scale=3").touch()
    assert with_keys(["scale=3"], "upscale") == ["scale=3"]


def test_every_positional_key_is_one() -> None:
    for command, key in WITHOUT_KEY.items():
        assert f"\n{key}: " in (CONF_DIR / f"{command}.yaml").read_text()


def test_lists_need_no_brackets() -> None:
    for command, typed, read in (
        ("evaluate", "data.sets=set5,set14", "data.sets=[set5,set14]"),
        ("evaluate", "protocol.metrics=psnr,ssim", "protocol.metrics=[psnr,ssim]"),
        ("train", "callbacks=default,ema", "callbacks=[default,ema]"),
        ("train", "data.scales=2,3,4", "data.scales=[2,3,4]"),
        ("report", "metrics=psnr,ssim", "metrics=[psnr,ssim]"),
        ("report", "box=80,40,48,48", "box=[80,40,48,48]"),
        ("train", 'name="a,b"', 'name="a,b"'),
    ):
        assert in_hydras_grammar(command, [typed]) == [read]
    assert in_hydras_grammar("evaluate", ["data.sets=set5,set14"], sweep=True) == ["data.sets=set5,set14"]


def test_one_program_has_all_commands(tmp_path: Path) -> None:
    def typed(*args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "sr_lightning", *args]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    listed = typed().stdout
    for command in COMMANDS:
        (line,) = [line for line in listed.splitlines() if line.strip().startswith(f"{command} ")]
        assert len(line.split()) > 4
    assert typed("--help").stdout == listed
    assert typed("export", "--help").stdout.startswith("python -m sr_lightning.export: ")
    wrong = typed("upsacle")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "error: upsacle: there is no such command; did you mean 'upscale'?\n",
    )
    shown = typed("train", "--cfg", "job", "model=espcn", "--scale", "3")
    assert "scale: 3\n" in shown.stdout, shown.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen_and_is_true(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run_here(command, "--help", cwd=tmp_path).stdout.splitlines()
    assert len(shown) <= 32 and max(map(len, shown)) <= 80
    examples = [line.split("  #")[0].split()[2:] for line in shown if line.startswith("  python")]
    assert len(examples) == 5 and all(module == f"sr_lightning.{command}" for module, *_ in examples)
    for _, *args in examples:
        sweep = "-m" in args
        result = run_here(
            command, "--cfg", "job", *[arg for arg in args if not (sweep and ("," in arg or arg == "-m"))], cwd=tmp_path
        )
        assert result.returncode == 0, result.stderr
    first = next(i for i, line in enumerate(shown) if line.startswith("Keys"))
    rows = [line.split(maxsplit=2) for line in shown[first + 1 : -2] if line[2] != " "]
    assert len(rows) == (5 if command == "report" else 10)
    assert all(len(row) == 3 and row[2][0].isalnum() for row in rows)


def test_help_reads_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CONF_DIR / "export.yaml").read_text().replace("scale: 2\n", "scale: 7\n")
    (tmp_path / "export.yaml").write_text(text)
    monkeypatch.setattr("sr_lightning.cli.help.CONF_DIR", tmp_path)
    assert "  scale        7        The scale of the network.\n" in run_here("export", "-h", cwd=tmp_path).stdout


def test_all_keys_are_shown_on_request(tmp_path: Path) -> None:
    shown = run_here("train", "--help-all", cwd=tmp_path).stdout
    assert "== Configuration groups ==" in shown and "batches_per_epoch" in shown


def test_an_unclosed_bracket_is_closed(tmp_path: Path) -> None:
    result = run_here("evaluate", "data.sets=[set5,set14", cwd=tmp_path)
    fails(result, "data.sets=[set5,set14: ] is missing; type 'data.sets=[set5,set14]'")


def test_a_flag_is_no_value() -> None:
    with pytest.raises(ConfigError, match="-o: the value is missing"):
        with_keys(["a.png", "-o", "--format", "png"], "upscale")
    assert with_keys(["--factor", "-1"], "upscale") == ["factor=-1"]


def test_true_as_python_writes_it() -> None:
    assert with_keys(["--overwrite", "True"], "upscale") == ["overwrite=True"]
