"""The documentation names commands, settings and functions that exist, and its site is whole and fits a phone."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from browser import BINARY, Browser
from sr_lightning.config import compose

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the documentation is not part of the source distribution", allow_module_level=True)
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
NAVIGATION = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
#: Typed as other programs take it, before or instead of KEY=VALUE.
FLAGS = {"--cfg": 1, "-o": 1, "-m": 0}


def typed(text: str) -> list[list[str]]:
    """Verb and arguments of every command of this library in blocks of the shell."""
    blocks = re.findall(r"^ *```(?:sh|powershell)\n(.*?)^ *```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    words = [[word for word in line if not re.fullmatch(r"[A-Z_]+=\S*", word)] for line in words]
    named = [[*line[2:]] if line[:2] == ["python", "-m"] else line for line in words if line]
    verbs = [[re.sub(r"^sr-|^sr_lightning\.", "", line[0]), *line[1:]] for line in named if line[0].startswith("sr")]
    return [line for line in verbs if (ROOT / f"conf/{line[0]}.yaml").is_file()]


README = {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
COMMANDS = [(page, line) for page, text in (README | PAGES).items() for line in typed(text)]


def test_commands_are_found() -> None:
    assert typed("```sh\nSR_DATA=x sr-train model=rdn \\\n  scale=3  # so\n```") == [["train", "model=rdn", "scale=3"]]
    assert {line[0] for _, line in COMMANDS} >= {"demo", "evaluate", "export", "prepare", "train", "upscale"}


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda value: value if isinstance(value, str) else value[0])
def test_every_setting_that_a_page_types_exists(page: str, line: list[str]) -> None:
    verb, rest = line[0], [*line[1:]]
    if "--config-dir" in rest:
        pytest.skip("with a config of the reader's own")
    for flag, values in FLAGS.items():
        if flag in rest:
            place = rest.index(flag)
            del rest[place : place + 1 + values]
    settings = [re.sub(r"^([\w.]+=)(\w+(?:,\w+)+)$", r"\1[\2]", word) for word in rest if "=" in word]
    if "-m" in line:  # the first of each choice, and of what a search draws from
        settings = [re.sub(r"=.*(?:interval|range)\(([\w.-]+),.*", r"=\1", word) for word in settings]
        settings = [re.sub(r"\[(\w+),.*\]", r"\1", word) for word in settings]
    compose(verb, settings)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_waits_for_its_numbers(page: str) -> None:
    assert not re.search(r"@[A-Z]{3,}@", (ROOT / "docs" / page).read_text(encoding="utf-8"))


def test_every_page_is_in_the_navigation_once() -> None:
    notebooks = [f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert sorted(NAVIGATION) == sorted([*PAGES, *notebooks])


@pytest.mark.parametrize("name", [name for text in PAGES.values() for name in re.findall(r"^::: ([\w.]+)", text, re.M)])
def test_what_the_reference_describes_exists(name: str) -> None:
    assert resolve_name(name).__doc__


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the documentation's tools are not installed")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--no-directory-urls", "--site-dir", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_whole(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert len(pages) > len(NAVIGATION)
    elsewhere = re.compile(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* href="(?:https?:)?//[^>]*css')
    assert not [path.name for path, text in pages.items() if elsewhere.search(text)]
    roles = re.compile(r":(?:class|func|meth|mod|data|attr|exc):")
    assert not [path.name for path, text in pages.items() if roles.search(text)]
    doctest = 'class="gp">&gt;&gt;&gt; '
    assert doctest in (site / "api/functional.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(BINARY is None, reason="there is no chromium")
def test_pages_fit_a_phone(site: Path, tmp_path: Path) -> None:
    with Browser(tmp_path, width=390, height=844, phone=True) as browser:
        wide = {}
        for page in NAVIGATION:
            address = (site / page).with_suffix(".html").as_uri()
            browser.open(address)
            browser.wait(f"location.href == {address!r} && document.readyState == 'complete'")
            wide[page] = browser.js("document.documentElement.scrollWidth")
    assert {page: width for page, width in wide.items() if width > 390} == {}
