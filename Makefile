# Two commands: `make quickstart` shows the program, `make test` proves it. They need python3 (3.11 or newer) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
# Tests that load no torch and take no time.
QUICK := $(patsubst %,tests/test_%.py,errors policy spec front hypervolume studies house) tests/schedules tests/report $(patsubst %,tests/search/test_%.py,decide judge planner space)

.DEFAULT_GOAL := help
.PHONY: help install quickstart check test bench clean

help:
	@echo "make quickstart  install into $(VENV) and search pruning policies on scikit-learn's digits (about a minute)"
	@echo "make install     only install; what is up to date is left alone"
	@echo "make check       formatter, linter, types, import layers and the quick tests, in seconds"
	@echo "make test        everything: the same checks, all tests and the README's commands, under ten minutes"
	@echo "make bench       the benchmarks by name; ARGS=\"peers --data-dir DIR\" runs one"
	@echo "make clean       remove what tools have written; studies, data and $(VENV) stay"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "prunesearch needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
	  echo "Name another one: make install PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "Python cannot make a virtual environment here. On Debian and Ubuntu: apt install python3-venv" >&2; \
	  rm -rf $(VENV); exit 1; }
	@echo "Installing into $(VENV) (torch is about 5 GB: a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt || { \
	  echo "The installation failed; nothing outside $(VENV) was touched. Mend what pip says above and repeat." >&2; exit 1; }
	@touch $@

quickstart: install
	$(BIN)/prunesearch search quickstart

check: install
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --strict .
	$(BIN)/lint-imports --no-logo
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(QUICK) $(ARGS)

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict .
	$(BIN)/lint-imports --no-logo
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

bench: install
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
