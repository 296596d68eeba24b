# The commands of this repository. Everything is installed into .venv; the second `make setup`
# needs no network. See README.md.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup demo test lint torture bench
.DEFAULT_GOAL := help

help:
	@echo "make setup    install everything into $(VENV) and fetch Kafka's jars"
	@echo "make demo     start everything, feed it with events, print the URLs (Ctrl-C stops it)"
	@echo "make test     all tests but those that kill processes for a long time"
	@echo "make lint     ruff and mypy"
	@echo "make torture  kill -9 and SIGSTOP under load"
	@echo "make bench    the numbers"

setup: $(VENV)/.installed
	@$(PY) -m deploy.kafka --fetch

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rev needs Python 3.11 or later; name one with PYTHON=")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	@$(PY) -m pip install --quiet --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(PY) -m deploy.demo --data .rev

test: setup
	$(VENV)/bin/pytest -m "not crash" tests

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

torture: setup
	$(VENV)/bin/pytest -m crash -s tests/crash

bench: setup
	$(PY) -m bench
