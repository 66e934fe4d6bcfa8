"""Checks in fresh environments: ``nox`` runs the usual ones, ``nox -s lint`` one, ``nox --list`` names them all."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

# In every installation: torch's newest build for GPUs would be 3 GB.
CONSTRAINTS = ("-c", "constraints.txt")


@nox.session
def lint(session: nox.Session) -> None:
    session.install("codespell", "deptry", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("deptry", "src")


@nox.session
def types(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """With the tested torch, on every Python that this machine has."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11", default=False)
def oldest(session: nox.Session) -> None:
    """With the oldest version of every dependency that pyproject.toml promises."""
    session.install("uv")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"], default=False)
def newest(session: nox.Session) -> None:
    """With the newest version of everything, torch included."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Lines of the package that the tests run, subprocesses included."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--skip-covered")


@nox.session(reuse_venv=False)
def package(session: nox.Session) -> None:
    """Only what the wheel itself asks for is installed beside it; its tests compose every config from elsewhere."""
    dist = Path(session.create_tmp()) / "dist"
    session.install(*CONSTRAINTS, "build", "hatch-fancy-pypi-readme", "hatchling", "pytest-xdist", "twine")
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    session.install(*CONSTRAINTS, *map(str, dist.glob("*.whl")))
    session.run("pytest", "tests/test_package.py")


@nox.session
def notebooks(session: nox.Session) -> None:
    files = sorted(map(str, Path("notebooks").glob("*.ipynb")))
    if not files:
        session.skip("there are no notebooks")
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("jupyter", "execute", *files)


@nox.session
def docs(session: nox.Session) -> None:
    """The site; with ``-- notebooks`` the notebooks run first, and their pages have pictures."""
    session.install(*nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]["docs"])
    tmp = Path(session.create_tmp())
    if "notebooks" in session.posargs:
        session.install(*CONSTRAINTS, "-e", ".[dev]")
        files = sorted(map(str, Path("notebooks").glob("*.ipynb")))
        session.run("jupyter", "execute", *files, f"--output={tmp.resolve()}/{{notebook_name}}")
        session.env["SR_NOTEBOOKS"] = str(tmp.resolve())
    session.run("mkdocs", "build", "--strict", "--site-dir", str(tmp / "site"))
