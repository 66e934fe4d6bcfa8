# make            the environment in .venv, then the main job: a short training on sample photographs
# make test       the environment if it is not there, then all tests
# make lint types the checks of style and of types
PYTHON ?= python3
BIN := .venv/bin
# Most of 29,000 files are never imported; Python compiles the others when they are.
QUICK := --no-compile

.PHONY: train test lint types

train: .venv/ready
	$(BIN)/python -m sr_lightning.train

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/deptry src

types: .venv/ready
	$(BIN)/mypy

# The stamp goes first and comes last: what an interrupted installation leaves is never taken as ready.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("sr_lightning needs Python 3.11 or newer, \
	and $(PYTHON) is %d.%d; name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	@rm -f $@
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(QUICK) -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install $(QUICK) -c constraints.txt --no-deps "spandrel>=0.4.2,<0.5" einops  # it asks for a torchvision that may not fit
	@touch $@
