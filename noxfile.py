"""Checks in fresh environments: ``nox`` runs them all, ``nox -s lint`` one of them."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

# In every installation: torch's newest build for GPUs would be 3 GB.
CONSTRAINTS = ("-c", "constraints.txt")


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(reuse_venv=False)
def package(session: nox.Session) -> None:
    """Only what the wheel itself asks for is installed beside it; its tests compose every config from elsewhere."""
    dist = Path(session.create_tmp()) / "dist"
    session.install(*CONSTRAINTS, "build", "hatchling", "pytest-xdist")
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist))
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
    session.install(*CONSTRAINTS, "mkdocs")
    session.run("mkdocs", "build", "--strict", "--site-dir", str(Path(session.create_tmp()) / "site"))
