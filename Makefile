# Everything a developer runs. Needs make and Python >= 3.11; the virtual environment is made on demand, and again
# whenever pyproject.toml changes. `make PYTHON=python3.13 test` chooses the interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HASH := $(shell cksum < pyproject.toml | cut -d ' ' -f 1)
DEMO := $(VENV)/.demo-$(HASH)
DEV := $(VENV)/.dev-$(HASH)
SERVE_ARGS ?=
CLIENTS ?=

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow test-clients lint format bench proto golden clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO)  ## start a server, load 5,000 packages, run every kind of query, restart, check
	$(BIN)/python examples/demo.py

serve: $(DEMO)  ## run the server on ports 6333 and 6334 (or as configured); SERVE_ARGS="--storage DIR ..."
	$(BIN)/python -m qdrantlite serve $(SERVE_ARGS)

test: $(DEV)  ## the fast tests
	$(BIN)/python -m pytest

test-slow: $(DEV)  ## all tests, the slow ones too
	QDRANTLITE_EXAMPLES=thorough $(BIN)/python -m pytest -m 'slow or not slow' --timeout 1800

test-clients: $(DEV)  ## every client of Qdrant's guides against a server; CLIENTS="Go Rust --record"
	$(BIN)/python -m tests.clients.run $(CLIENTS)

lint: $(DEV)  ## formatting, lint, types, layers, stale generated files, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/generate_pb.py --check
	$(BIN)/python -m pytest tests/tidy

format: $(DEV)  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)  ## the benchmarks, one after the other
	for script in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done

proto: $(DEV)  ## compile protos/ into qdrantlite/wire/pb/
	$(BIN)/python scripts/generate_pb.py

golden: $(DEV)  ## rewrite the recorded plans; read the diff before committing
	QDRANTLITE_GOLDEN=write $(BIN)/python -m pytest tests/golden

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(DEMO): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	rm -f $(VENV)/.demo-*
	touch $@

$(DEV): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	rm -f $(VENV)/.demo-* $(VENV)/.dev-*
	touch $@ $(DEMO)
