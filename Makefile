# make demo   environment, then the whole way on a few clips, told on one page: demo/index.html
# make learn  environment, then a small model trained from nothing on rendered clips, scored
# make test   environment, then the tests (CPU only, no network beyond the package registry)
#
# Variables: VENV=.venv  PYTHON=python3.11  ARGS='-k flow -x' (passed to pytest)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.openuni-setup
ARGS ?=

# The first Python that really runs and that pyproject.toml allows. A name on PATH may be a shim that fails.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 && echo $$p && break; done)

# Without cached bytecode every worker process compiles its libraries anew: Ray then takes a minute to start, not ten
# seconds.
unexport PYTHONDONTWRITEBYTECODE

# Threads for training: two are 1.7 times as fast as one on a network of 2 M parameters, more gain little.
THREADS ?= 2

.PHONY: help setup demo learn tiny test test-slow lint perf constraints clean

help:
	@echo "make setup        the environment: $(VENV), about 7 GB, half a minute with uv, three with pip"
	@echo "make demo         build, train a little, generate and estimate; one page tells it (openuni demo)"
	@echo "make learn        train tiny_cpu from nothing on rendered clips and score it: learn/table.md"
	@echo "make tiny         make the shipped model again, from seeds: two hours of two cores"
	@echo "make test         the tests (ARGS='-k flow -x' to choose)"
	@echo "make test-slow    the tests that take more than 20 s each"
	@echo "make lint         ruff and mypy"
	@echo "make perf         the scripts behind every performance claim"
	@echo "make constraints  write the versions that are in $(VENV) to constraints.txt"
	@echo "make clean        remove caches and built packages (not $(VENV), data/ or ckpt/)"

setup: $(STAMP)

# Reruns only when a dependency changed: the checkout is installed editable. Stopped half-way, it goes on where it was.
# --no-compile: pip would byte-compile 20,000 files one by one; Python does it for those that are imported.
$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
		if [ -z "$(PYTHON)" ]; then echo "No Python 3.11, 3.12 or 3.13 on PATH. Install one, or: make setup PYTHON=/path/to/python" >&2; exit 2; fi; \
		if command -v uv >/dev/null; then uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); else $(PYTHON) -m venv $(VENV); fi; \
	fi
	@if command -v uv >/dev/null; then \
		uv pip install --python $(BIN)/python -e '.[all]' -c constraints.txt; \
	else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip; \
		$(BIN)/python -m pip install --disable-pip-version-check --no-compile -e '.[all]' -c constraints.txt; \
	fi
	@touch $@

demo: setup
	$(BIN)/openuni demo

# Each line goes on where it was stopped; what is finished is not done again.
train = OMP_NUM_THREADS=$(THREADS) $(BIN)/openuni train --device cpu --out $(1) $$([ -d $(1)/checkpoints ] && echo --resume)
beside = OMP_NUM_THREADS=1 $(BIN)/openuni bench beside --form markdown

learn: setup
	$(BIN)/openuni unibench training-set plain --out learn/plain --ray off
	$(call train,learn/ckpt) --preset tiny_cpu --data learn/plain/build
	$(beside) --model learn/ckpt --data learn/plain/held-out --build learn/plain/build --out learn/beside | tee learn/table.md

tiny: setup
	$(BIN)/openuni unibench training-set varied --out tiny/varied --ray off
	$(call train,tiny/half) --preset tiny_half --init none --data tiny/varied/build
	$(call train,tiny/ckpt) --preset tiny --init tiny/half --data tiny/varied/build
	rm -rf tiny/export && $(BIN)/openuni export tiny/ckpt --out tiny/export
	$(beside) --model tiny/export --data tiny/varied/held-out --build tiny/varied/build --out tiny/beside | tee tiny/table.md

# One thread a test process: the tests use many small arrays, where threads only wait for each other.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout 1200 $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

# perf/data_juicer.py and perf/vbench.py need a second environment and are run by hand: their --help says how.
perf: setup
	@for script in $(filter-out perf/record.py perf/random_experts.py perf/data_juicer.py perf/vbench.py,$(wildcard perf/*.py)); do echo "== $$script"; OMP_NUM_THREADS=1 $(BIN)/python $$script; done

# To move to newer versions: install them into $(VENV), run make test, then make constraints.
# No URLs, no local versions. Every flavour of OpenCV unpacks into the same cv2/, so all get one version.
constraints: setup
	@version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opencv-python"))'; ); \
	{ echo "# What was installed and tested together. Regenerate: make constraints"; \
	  { if command -v uv >/dev/null; then uv pip freeze --python $(BIN)/python; else $(BIN)/python -m pip freeze --all; fi \
	      | sed -nE 's/^([A-Za-z0-9._-]+==[A-Za-z0-9._!-]+).*$$/\1/p' | tr 'A-Z_' 'a-z-' | grep -vE '^(pip|wheel|openuni|opencv-.*)=='; \
	    for flavour in opencv-python opencv-python-headless opencv-contrib-python opencv-contrib-python-headless; do \
	      echo "$$flavour==$$version"; done; \
	  } | LC_ALL=C sort -u; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt && touch $(STAMP)
	@echo "wrote constraints.txt ($$(grep -c == constraints.txt) packages)"

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
