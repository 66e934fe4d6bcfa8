"""Changes single places of core files and runs the tests that reach them: what no test notices is a gap.

    python benchmarks/mutation.py --out survivors.txt
    python benchmarks/mutation.py means functional/color --most 1000

The changes are mutmut's. Its own runner leaves out functions with decorators and whatever lies outside of functions,
so that this one runs them: everything is imported once, every mutant has a forked process, in which the code of the
changed function is replaced, or the package imported anew where the change lies outside of functions.

For each file, the tests named below run once, to learn which of them reach which function and how long they take. A
mutant is killed by a test that fails, or by taking far longer than all of its tests; the quickest tests run first.
"""

import argparse
import ast
import contextlib
import gc
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import libcst as cst
import pytest
import torch
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sr_lightning"
#: Files and the tests beside their own doctests, within ``tests``.
TESTS = {
    "functional/resize": "functional/test_resize.py",
    "functional/color": "functional/test_color.py",
    "functional/psnr": "functional/test_metrics.py functional/test_levels.py",
    "functional/ssim": "functional/test_metrics.py functional/test_ms_ssim.py",
    "functional/geometry": "functional/test_geometry.py",
    "functional/bayer": "functional/test_bayer.py blocks/test_packed_raw.py",
    "functional/levels": "functional/test_levels.py",
    "functional/demosaic": "functional/test_bayer.py",
    "metrics/protocol": "metrics/test_protocol.py test_golden.py",
    "metrics/image": "metrics/test_image.py",
    "means": "models/test_base.py",
    "schedules": "test_schedules.py",
    "blocks/attention": "blocks/test_attention.py",
    "blocks/upsampling": "blocks/test_upsampling.py",
    "blocks/normalization": "blocks/test_residual.py blocks/test_normalization.py",
    "blocks/residual": "blocks/test_residual.py",
    "inference/ensemble": "inference/test_ensemble.py",
    "inference/boxes": "inference/test_boxes.py",
    "inference/overlap": "inference/test_overlap.py",
    "inference/receptive_field": "inference/test_tiling.py",
    "inference/tiling": "inference/test_tiling.py inference/test_overlap.py",
    "inference/resizing": "inference/test_boxes.py inference/test_upscaler_tiles.py",
    "data/sampling": "data/test_patches.py data/test_workers.py",
    "data/patches": "data/test_cut_patches.py data/test_patches.py",
    "data/levels": "data/test_depths.py",
    "callbacks/recipe": "callbacks/test_recipe_settings.py",
    "quoting": "test_config.py",
    "recorded_settings": "test_recorded_settings.py commands/test_settings_of_run.py",
    "models/base": "models/test_base.py",
}
LEFT_OUT = "not BSD100 and not Set14 and not Urban100"  # large sets of pictures
SLOWEST = 5.0  # seconds; tests that take longer do not take part


_children: set[int] = set()


@dataclass(frozen=True)
class Mutant:
    """One change: the whole file, the place, and the function around it, if there is one."""

    source: str
    line: int
    change: str
    function: str | None


class Loop:
    """A plugin of pytest that does something else with the tests it has collected."""

    def __init__(self, job: Callable[[list[pytest.Item]], None]) -> None:
        self.job = job

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.job(session.items)
        return True


def with_tests(files: list[str], job: Callable[[list[pytest.Item]], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        standard = ["-o", "addopts=--doctest-modules -q", "-p", "no:cacheprovider", "--assert=plain", "-k", LEFT_OUT]
        pytest.main([*standard, f"--basetemp={folder}/t", *files], plugins=[Loop(job)])


def passes(item: pytest.Item) -> bool:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return not item.session.testsfailed


def forked(job: Callable[[], Any], limit: float) -> Any:
    """What a job in another process gives; ``None`` if it breaks off or takes longer."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(read)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        with os.fdopen(write, "w") as out:
            try:
                answer = job()
            except Exception as error:
                answer = {"error": repr(error)}
            json.dump(answer, out)
            out.flush()
        os._exit(0)
    os.close(write)
    alarm = threading.Timer(limit, lambda: os.killpg(child, signal.SIGKILL))
    alarm.start()
    _children.add(child)
    try:
        with os.fdopen(read) as answer:
            text = answer.read()
    finally:
        alarm.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # and what it left running
        os.waitpid(child, 0)
        _children.discard(child)
    return json.loads(text) if text else None


def stop(*_: Any) -> None:
    for child in _children:
        os.killpg(child, signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)


def forget() -> None:
    """Lets the package and its tests be imported anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.partition(".")[0] == "sr_lightning" or file.startswith(f"{ROOT}/"):
            del sys.modules[name]


def baseline(items: list[pytest.Item], path: Path) -> dict[str, Any]:
    """How long each test takes and what it reaches in the file, and which packages all of them import."""
    tree = ast.parse(path.read_text("utf-8"))
    for name, function in functions(tree):
        text = isinstance(function.body[0], ast.Expr) and isinstance(function.body[0].value, ast.Constant)
        function.body[int(text) : int(text)] = ast.parse(f"__import__('sys').note_function({name!r})").body
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    for name, _ in functions(tree):
        with contextlib.suppress(ValueError):
            replace_function(name, code, functions_in(path))
    tests = {}
    for item in items:
        reached: set[str] = set()
        sys.note_function = reached.add  # type: ignore[attr-defined]
        begin = time.monotonic()
        assert passes(item), item.nodeid
        tests[item.nodeid] = time.monotonic() - begin, sorted(reached)
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    others = [name for name, file in files.items() if name != "__main__" and not file.startswith(f"{ROOT}/")]
    return {"tests": tests, "modules": others}


def functions(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions and methods that are not inside others."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield scope + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{scope}{child.name}.")


def import_as(path: Path, source: str) -> None:
    """The package is imported anew, with another text of one file."""
    forget()
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code

    def get_code(self: Any, name: str) -> Any:
        return compile(source, str(path), "exec") if self.path == str(path) else original(self, name)

    loader.get_code = get_code  # type: ignore[method-assign]


def mutants(path: Path, most: int, seed: str) -> tuple[int, list[Mutant]]:
    """How many changes of a file there are, and as many of them as wanted, by lot.

    None of annotations, of texts and of the words of errors.
    """
    wrapper = MetadataWrapper(cst.parse_module(path.read_text("utf-8")))
    module, places = wrapper.module, wrapper.resolve(PositionProvider)
    found: list[tuple[cst.CSTNode, cst.CSTNode, int, str | None]] = []

    def walk(node: cst.CSTNode, function: str | None, scope: str, raised: bool, line: int) -> None:
        is_type = isinstance(node, cst.Subscript) and isinstance(node.value, cst.Name) and node.value.value == "Literal"
        is_text = isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString)
        if is_type or is_text or isinstance(node, cst.Annotation):
            return
        line = places[node].start.line if node in places else line
        raised = raised or isinstance(node, cst.Raise)
        for kind, operator in mutation_operators:
            if isinstance(node, kind) and not (raised and isinstance(node, cst.BaseString)):
                found.extend((node, new, line, function) for new in operator(node))
        for child in node.children:
            if isinstance(node, cst.FunctionDef) and child is node.body:
                walk(child, function or scope + node.name.value, "", raised, line)
            else:
                is_body = isinstance(node, cst.ClassDef) and child is node.body
                walk(child, function, f"{scope}{node.name.value}." if is_body else scope, raised, line)

    def code_of(node: cst.CSTNode) -> str:
        return " ".join(module.code_for_node(node).split())

    walk(module, None, "", False, 1)
    drawn: list[Mutant] = []
    for old, new, line, function in random.Random(seed).sample(found, len(found)):
        source = module.deep_replace(old, new).code
        with contextlib.suppress(SyntaxError):
            compile(source, str(path), "exec")
            drawn.append(Mutant(source, line, f"{code_of(old)} → {code_of(new)}", function))
        if len(drawn) == most:
            break
    return len(found), sorted(drawn, key=lambda each: each.line)


def codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield value.co_qualname, value
            yield from codes(value)


def functions_in(path: Path) -> dict[str, list[FunctionType]]:
    """All functions that the file has made, by name."""
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(path):
            found[thing.__code__.co_qualname].append(thing)
    return found


def replace_function(name: str, code: CodeType, old: dict[str, list[FunctionType]]) -> None:
    """Gives all functions of that name the code that they have in another text of the file."""
    new = [each for where, each in codes(code) if where == name]
    if not old[name] or len(new) != 1:
        raise ValueError(f"{name}: {len(old[name])} functions and {len(new)} codes")
    for function in old[name]:
        function.__code__ = new[0]


def killed(mutant: Mutant, path: Path, items: list[pytest.Item], old: dict[str, list[FunctionType]]) -> bool:
    try:
        if mutant.function is None:
            raise ValueError
        replace_function(mutant.function, compile(mutant.source, str(path), "exec"), old)
    except ValueError:  # outside of functions, or with another closure
        return killed_from_the_start(mutant, path, [item.nodeid for item in items])
    return not all(passes(item) for item in items)


def killed_from_the_start(mutant: Mutant, path: Path, tests: list[str]) -> bool:
    import_as(path, mutant.source)
    result = [True]  # where the tests cannot even be collected

    def job(items: list[pytest.Item]) -> None:
        place = {name: i for i, name in enumerate(tests)}
        chosen = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
        result[0] = len(chosen) < len(tests) or not all(passes(item) for item in chosen)

    with_tests(sorted({test.partition("::")[0] for test in tests}), job)
    return result[0]


def import_all(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def study(name: str, most: int, seed: int) -> dict[str, Any] | None:
    """The mutants of one file that were drawn, and those of them that survived."""
    path = SOURCE / f"{name}.py"
    count, drawn = mutants(path, most, f"{seed} {name}")
    survivors: list[str] = []
    modules: list[str] = []
    finished = []

    def job(items: list[pytest.Item]) -> None:
        base = forked(lambda: baseline(items, path), 900)
        assert base and "tests" in base, f"{base} {name}: its tests fail without any change"
        modules.extend(base["modules"])
        import_all(modules)
        seconds = {test: took for test, (took, _) in base["tests"].items()}
        quickest = sorted((item for item in items if seconds[item.nodeid] <= SLOWEST), key=lambda i: seconds[i.nodeid])
        old = functions_in(path)
        gc.collect()
        gc.freeze()  # a collection in a forked process would copy all memory
        text = path.read_text("utf-8")
        for function in (None, *sorted({each.function for each in drawn if each.function})):
            some = [item for item in quickest if function in (None, *base["tests"][item.nodeid][1])][:3]
            answer = forked(lambda f=function, s=some: killed(Mutant(text, 0, "", f), path, s, old), 100)
            assert answer is False, f"{name}: {function} is killed without any change: {answer}"
        for mutant in drawn:
            chosen = [item for item in quickest if mutant.function in (None, *base["tests"][item.nodeid][1])]
            limit = 20 + 5 * sum(seconds[item.nodeid] for item in chosen)
            answer = forked(lambda m=mutant, c=chosen: killed(m, path, c, old), limit)
            if isinstance(answer, dict):
                print(f"{name}: {mutant.change}: {answer}", file=sys.stderr)
            if answer is False:
                survivors.append(f"{name}.py:{mutant.line}: {mutant.change}" + ("" if chosen else "  (no test)"))
        finished.append(name)

    files = [str(path.relative_to(ROOT)), *(f"tests/{file}" for file in TESTS[name].split())]
    with_tests([file for file in files if (ROOT / file).exists()], job)
    if not finished:
        return None
    return {"modules": modules, "all": count, "drawn": len(drawn), "survivors": survivors}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of files, as in the table; all by default")
    parser.add_argument("--most", type=int, default=60, help="mutants of a file, drawn if it has more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of the survivors")
    options = parser.parse_args()
    os.chdir(ROOT)
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, stop)
    print(
        "| file | mutants | drawn | killed | survived | score |\n| --- | ---: | ---: | ---: | ---: | ---: |", flush=True
    )
    total = killed = 0
    for name in options.names or TESTS:
        result = forked(lambda n=name: study(n, options.most, options.seed), 4 * 3600)
        if not result or "error" in result:
            print(f"{name}: its tests fail or hang without any change: {result}", file=sys.stderr, flush=True)
            continue
        import_all(result["modules"])  # and nothing of the package, whose classes would then be there twice
        drawn, alive = result["drawn"], len(result["survivors"])
        total, killed = total + drawn, killed + drawn - alive
        share = f"{1 - alive / max(1, drawn):.0%}"
        print(f"| {name}.py | {result['all']} | {drawn} | {drawn - alive} | {alive} | {share} |", flush=True)
        if options.out:
            with options.out.open("a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in result["survivors"])
    print(f"| all | | {total} | {killed} | {total - killed} | {killed / max(1, total):.1%} |")


if __name__ == "__main__":
    main()
