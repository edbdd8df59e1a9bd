# thalweg: the few commands.  PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test check atlas bench size clean

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("thalweg needs Python 3.11 or newer; say which with  make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[search]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed  ## train a network on the digits bundled with scikit-learn and say where the page is
	$(BIN)/thalweg train digits

test: $(VENV)/.installed-test  ## run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/.installed-test  ## lint, format and type-check
	$(BIN)/ruff check src tests benchmarks atlas
	$(BIN)/ruff format --check src tests benchmarks atlas
	$(BIN)/mypy

atlas: $(VENV)/.installed-test  ## put every claim to the test; writes atlas/site/index.html
	$(BIN)/python atlas/build.py

bench: $(VENV)/.installed-bench  ## compare with the peers; writes benchmarks/results
	$(BIN)/python benchmarks/steps.py --out benchmarks/results/steps.md
	$(BIN)/python benchmarks/training.py --out benchmarks/results/training.md

size:  ## lines of code, room by room
	@for room in src/thalweg/*; do \
	  printf '%6d  %s\n' "$$(find $$room -name '*.py' -exec cat {} + | wc -l)" "$$(basename $$room)"; done | sort -rn
	@printf '%6d  tests\n' "$$(find tests -name '*.py' -exec cat {} + | wc -l)"

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info
