# Each target makes .venv with what it needs, once, and runs. Python 3.11+ and make suffice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH ?= torch==2.13.0

# Workers for the tests; one thread each, so that linear algebra does not fight itself.
WORKERS ?= 2
SINGLE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test test-fast fuzz lint docs figures bench clean

demo: $(VENV)/.core
	$(BIN)/mor demo

test: $(VENV)/.dev
	$(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# The part of it that takes less than a minute.
test-fast: $(VENV)/.dev
	$(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

# Each script looks for trouble at random, in its full size, and ends with an error if it finds some.
fuzz: $(VENV)/.dev
	set -e; for script in tests/fuzz/[a-z]*.py; do \
	    if grep -q "__main__" $$script; then echo "$$script"; $(SINGLE) $(BIN)/python $$script; fi; \
	done

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet

figures: $(VENV)/.core
	$(BIN)/python docs/figures/make.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[cli,plot]"
	touch $@

# The CPU build of torch where an index offers one; the pinned version keeps runs comparable.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) "$(TORCH)"
	$(PIP) -e ".[torch,jax,control,dev]" s5-pytorch lru-pytorch
	touch $@ $(VENV)/.core

$(VENV)/.docs: pyproject.toml | $(VENV)/.dev
	$(PIP) -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist site .pytest_cache .hypothesis .ruff_cache
