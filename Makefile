# The commands of this repository. Everything is installed into .venv; the second `make setup`
# needs no network. See README.md.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup demo test lint ruff mypy fuzz torture bench
.DEFAULT_GOAL := help

# uv, where it is there, installs in parallel. Without dependencies: a lock names them all, and leaves out three
# large ones that the engine's package asks for and Rev never imports (docs/decisions/0030-setup.md).
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(PY) --no-deps,$(PY) -m pip install --quiet --no-deps)

help:
	@echo "make setup    install what runs Rev into $(VENV) and fetch Kafka's jars"
	@echo "make demo     start everything, feed it with events, print the URLs (Ctrl-C stops it)"
	@echo "make test     all tests but those that kill processes for a long time"
	@echo "make lint     ruff and mypy"
	@echo "make fuzz     the unit tests with new random examples"
	@echo "make torture  kill -9 and SIGSTOP under load"
	@echo "make bench    the numbers"

setup: $(VENV)/.installed
	@$(PY) -m deploy.kafka --fetch

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rev needs Python 3.11 or later; name one with PYTHON=")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed requirements-test.lock
	@echo "Installing what the tests need (once) ..."
	@$(INSTALL) --require-hashes -r requirements-test.lock
	@touch $@

demo: setup
	@$(PY) -m deploy.demo --data .rev

test: setup $(VENV)/.tested
	@$(PY) -m tests.side_by_side

lint: ruff mypy

ruff: setup $(VENV)/.tested
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

mypy: setup $(VENV)/.tested
	$(VENV)/bin/mypy

fuzz: setup $(VENV)/.tested
	REV_TEST_SEEDS=new $(VENV)/bin/pytest -q tests/unit

torture: setup $(VENV)/.tested
	$(VENV)/bin/pytest -m crash -s tests/crash

bench: setup $(VENV)/.tested
	$(PY) -m bench
