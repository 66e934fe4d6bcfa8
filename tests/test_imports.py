"""Imports point down only, and nothing heavy is imported before a command has work to do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from PIL import Image

import sr_lightning
from sr_lightning.config import CONF_DIR

SOURCE = Path(sr_lightning.__file__).parent
FILES = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
COMMANDS = sorted(path.stem for path in CONF_DIR.glob("*.yaml"))

#: Rooms of the package, from the top: each imports from lower lines only, never from its own.
LAYERS: list[set[str]] = [
    {*COMMANDS, "__init__", "__main__"},  # imported by nothing
    {"demo_page", "serving", "reports", "benchmarking"},
    {"training"},
    {"inference"},
    {"weights"},
    {"evaluation"},
    {"models", "data"},
    {"metrics", "losses", "degradations"},
    {"blocks", "strips"},
    {"functional"},
    {"tensor_files", "cli"},
    {"config"},
    {"measured"},
    {"types", "atomic", "limits", "lazy", "ranks", "stores", "devices"},
    {"errors"},
    {"version"},
]

#: The classes between Lightning and the networks.
_PARTS = (
    "base",
    "foundation",
    "arguments",
    "schedule",
    "adversarial",
    "adversary",
    "layouts",
    "fine_tuning",
    "scoring",
    "lapsrn_matconvnet",
    "trunks",
)
BASES = {"models", *(f"models.{name}" for name in _PARTS)}

#: Bicubic is the baseline that every run reports, so these may name it.
KNOW_BICUBIC = {"training", "evaluation", "inference"}


def unit(module: str) -> str:
    """The file or folder in the package that a path like ``models/rdn.py`` or ``models.rdn`` belongs to."""
    return module.removesuffix(".py").replace("/", ".").partition(".")[0]


def level(name: str) -> int | None:
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def imports(file: str, source: str, with_types: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name, within the package, of each module that a file imports when it runs, or for its types."""
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if not with_types and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ["sr_lightning", *Path(file).parts][: -node.level] if node.level else []
            home = ".".join([*package, *filter(None, [node.module])])
            names = [f"{home}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "sr_lightning":
                yield node.lineno, module_of(name.split(".")[1:])


def module_of(parts: list[str]) -> str:
    """The longest part of a dotted name that is a file; ``models.RDN`` is loaded from ``models/rdn.py``."""
    if parts[:1] == ["models"]:
        parts = [part.lower() for part in parts]
    while parts and FILES.isdisjoint({f"{'/'.join(parts)}.py", f"{'/'.join(parts)}/__init__.py"}):
        parts = parts[:-1]
    return ".".join(parts) or "__init__"


def violations(file: str, source: str) -> list[str]:
    """What a file must not import, each as a sentence that names the line."""
    here = unit(file)
    mine = level(here)
    if mine is None:
        return [f"{file}: {here!r} is in no layer; give it its place in LAYERS of tests/test_imports.py"]
    found = []
    for line, module in imports(file, source):
        there = unit(module)
        theirs = level(there)
        if theirs is None:
            found.append(f"{file}:{line} imports {module}, which is in no layer of tests/test_imports.py")
        elif there != here and theirs <= mine:
            found.append(f"{file}:{line} imports {module}, which is not below {here}")
        elif there == "models" and module not in BASES:
            if here == "models":
                found.append(f"{file}:{line} imports {module}; what two networks share belongs in blocks")
            elif not (module == "models.bicubic" and here in KNOW_BICUBIC):
                found.append(f"{file}:{line} imports {module}; only a config names a network")
    return found


@pytest.mark.parametrize("file", sorted(FILES))
def test_imports_point_down(file: str) -> None:
    found = violations(file, (SOURCE / file).read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


def graph(parts: int | None = None) -> dict[str, set[str]]:
    """Which file imports which; those for type checkers alone and those in functions count.

    Args:
        parts: Parts of the dotted names to compare; None for all of them.
    """
    found: dict[str, set[str]] = {}
    for here, theirs in files_and_imports().items():
        name = ".".join(here.split(".")[:parts])
        found.setdefault(name, set()).update({".".join(there.split(".")[:parts]) for there in theirs} - {name})
    return found


@cache
def files_and_imports() -> dict[str, set[str]]:
    """Every file of the package, by its dotted name, and what it imports."""
    found = {}
    for file in sorted(FILES):
        here = module_of(file.removesuffix(".py").removesuffix("/__init__").split("/"))
        source = (SOURCE / file).read_text(encoding="utf-8")
        found[here] = {module for _, module in imports(file, source, with_types=True)}
    return found


@pytest.mark.parametrize("parts", [None, 1, 2])
def test_there_are_no_circles(parts: int | None) -> None:
    tuple(TopologicalSorter(graph(parts)).static_order())  # a CycleError names the files


# Tells at the very end what the rest of the program has brought in, and how many modules that are in all.
PROBE = """
import atexit, runpy, sys
heavy = {"torch", "torch._dynamo", "lightning", "pytorch_lightning", "torchmetrics", "cv2", "wandb", "scipy", "PIL",
         "pandas", "sympy", "kornia", "albumentations", "h5py", "skimage", "matplotlib", "onnx", "onnxruntime"}
atexit.register(lambda: print("imported:", len(sys.modules), *sorted(heavy & sys.modules.keys()), file=sys.stderr))
"""
AS_COMMAND = "runpy.run_module('sr_lightning.{}', run_name='__main__', alter_sys=True)"


@pytest.mark.parametrize(
    ("program", "argv"),
    [
        ("import sr_lightning", []),
        (AS_COMMAND.format("__main__"), []),
        (AS_COMMAND.format("__main__"), ["upscale", "--help"]),
        *((AS_COMMAND.format(command), ["--help-all"]) for command in ("train", "upscale")),
        *((AS_COMMAND.format(command), argv) for command in COMMANDS for argv in (["--help"], ["--cfg", "job"])),
    ],
)
def test_nothing_heavy_is_imported_before_there_is_work(program: str, argv: list[str], tmp_path: Path) -> None:
    ended, modules, heavy = probed(program, argv, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert not heavy
    assert modules < 700, "Hydra and its parser are 450; more is an import that this can do without"
    assert not any(tmp_path.iterdir())  # looking leaves no run folder behind


def probed(program: str, argv: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], int, set[str]]:
    """A program that has ended, how many modules it imported, and the heavy ones among them."""
    ended = subprocess.run([sys.executable, "-c", PROBE + program, *argv], cwd=folder, capture_output=True, text=True)
    word, modules, *heavy = ended.stderr.splitlines()[-1].split()
    assert word == "imported:", ended.stderr
    return ended, int(modules), set(heavy)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("upscale", []),
        ("upscale", ["missing.png"]),
        ("upscale", [".", "spam=3"]),
        ("upscale", [".", "--spam"]),
        ("upscale", [".", "model=spam"]),
        ("upscale", [".", "weights=spam"]),
        ("upscale", [".", "weights=missing.pth"]),
        ("upscale", [".", "model=rdn"]),
        *(
            ("upscale", [".", f"{key}=0.5x"])
            for key in ("tile", "scale", "factor", "size", "quality", "bits", "format")
        ),
        *(
            ("upscale", [".", f"{key}=spam"])
            for key in ("engine", "precision", "ensemble", "tiling", "overwrite", "memory")
        ),
        ("train", ["modle=rdn"]),
        ("evaluate", ["data=spam"]),
        ("evaluate", ["weights=missing.ckpt"]),
        ("export", ["missing.ckpt"]),
    ],
)
def test_usage_errors_do_not_wait_for_torch(command: str, argv: list[str], tmp_path: Path) -> None:
    ended, _, heavy = probed(AS_COMMAND.format(command), argv, tmp_path)
    assert ended.returncode == 1 and ended.stderr.startswith("error: "), ended.stderr
    assert not heavy & {"torch", "lightning"}


@pytest.mark.parametrize(
    ("program", "argv"),
    [
        (AS_COMMAND.format("upscale"), ["small.png"]),
        (AS_COMMAND.format("upscale"), ["large.png"]),  # in strips
        ("import sr_lightning as sr; sr.load('espcn', ensemble='median').upscale('large.png')", []),  # in tiles
        # ESPCN draws its weights from a normal distribution, for which torch would import its compiler.
        *((f"import sr_lightning as sr; sr.load({name!r}).upscale('small.png')", []) for name in ("espcn", "bicubic")),
    ],
)
def test_enlarging_imports_nothing_that_only_training_needs(program: str, argv: list[str], tmp_path: Path) -> None:
    Image.new("RGB", (24, 16)).save(tmp_path / "small.png")
    Image.new("RGB", (360, 200)).save(tmp_path / "large.png")
    ended, _, heavy = probed(program, argv, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert heavy <= {"torch", "PIL", "cv2"}


def test_what_depends_on_the_machine_is_printed_as_written(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "sr_lightning.train", "--cfg", "job", "trainer=auto"]
    shown = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "precision: ${fastest_precision:}" in shown
