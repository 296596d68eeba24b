# The commands of this repository. Everything is installed into .venv; the second `make setup`
# needs no network. See README.md.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup demo test lint ruff mypy fuzz torture bench
.DEFAULT_GOAL := help

# uv installs in parallel what pip installs one by one: half the time. It knows nothing of pip's settings, so where it
# cannot reach a registry, pip does it. Without dependencies: a lock names them all, and leaves out three large ones that
# the engine's package asks for and Rev never imports (docs/decisions/0030-setup.md).
define install
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps $(1) 2>$(VENV)/uv.log || \
		{ cat $(VENV)/uv.log; echo "uv cannot install; pip does it"; $(PY) -m pip install --quiet --no-deps $(1); }
endef

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

$(VENV)/.installed: requirements-uv.lock requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rev needs Python 3.11 or later; name one with PYTHON=")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	@$(PY) -m pip install --quiet --no-deps --require-hashes -r requirements-uv.lock
	$(call install,--require-hashes -r requirements.lock)
	$(call install,--no-build-isolation -e .)
	@touch $@

$(VENV)/.tested: $(VENV)/.installed requirements-test.lock
	@echo "Installing what the tests need (once) ..."
	$(call install,--require-hashes -r requirements-test.lock)
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
