# Every target sets up what it needs: rustc, Python 3.11+ and a C compiler are enough.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml 2>/dev/null) Cargo.toml
CRATES := $(filter-out weft-python,$(notdir $(wildcard crates/*)))

.PHONY: build test test-rust test-python property chaos check demo bench clean

build: $(VENV)/.built

# The virtual environment with everything that tests, checks and benchmarks import.
$(VENV)/.ready: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

# The extension, built in the profile that the Rust tests use too, and the package in place.
$(VENV)/.built: $(VENV)/.ready $(RUST_SOURCES) pyproject.toml
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(PY) -m maturin develop --quiet --release
	touch $@

test: test-rust test-python

test-rust:
	cargo test --quiet --release --workspace --exclude weft-python

test-python: build
	$(PY) -m pytest -n auto

# Ten thousand random trees of array operations beside NumPy; other ones each time.
property: build
	WEFT_PROPERTY_CASES=$${WEFT_PROPERTY_CASES:-10000} $(PY) -m pytest -n auto tests/array/test_trees.py

# A hundred jobs with known answers on a cluster whose workers are killed at random.
chaos: build
	WEFT_CHAOS_JOBS=$${WEFT_CHAOS_JOBS:-100} WEFT_CHAOS_SECONDS=$${WEFT_CHAOS_SECONDS:-600} \
	$(PY) -m pytest -x --timeout=3000 tests/distributed/test_resilience.py -k workers_are_killed

check: build
	cargo fmt --all --check
	cargo clippy --quiet --release --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --quiet --check
	$(VENV)/bin/mypy

demo: build
	$(PY) -m weft.demo

bench: build
	$(PY) bench/run.py

clean:
	rm -rf target $(VENV) demo-output
