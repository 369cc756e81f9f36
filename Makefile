# Every target works on a fresh clone: it makes .venv from the lock files first. Nothing is installed elsewhere.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run compiled test test-system test-clients test-rest test-parser test-loop test-coverage \
	check perf chaos fuzz soak lock changelog clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
venv := .venv
bin := $(venv)/bin
# What runs again on the other parser and on the other loop: whatever is about connections and not about what they carry.
names := server_framing server_request_line server_semantics server_limits server_client_gone server_connections \
	server_drain upstream_reuse dialing dropping footprint gateway
wire_tests := $(names:%=tests/system/test_%.py)
parser_tests := $(wire_tests) tests/wire/test_upstream.py tests/wire/test_relay.py tests/wire/test_pool.py
loop_tests := $(wire_tests) tests/system/test_server_tls.py tests/system/test_porch.py
lock_flags := --universal --generate-hashes --quiet --custom-compile-command "make lock"

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(venv)/runtime.stamp ## start the demo on 127.0.0.1:8080; ARGS="..." is passed on
	$(bin)/python -m busbar_fast demo $(ARGS)

compiled: build/compiled/stamp ## the program with its hot modules compiled, in build/compiled; needs a C compiler

build/compiled/stamp: $(venv)/dev.stamp $(shell find busbar_fast native -name '*.py' -o -name '*.txt')
	$(bin)/python -m native build/compiled
	touch $@

test: $(venv)/dev.stamp ## the whole suite but the house rules, which `check` has: every test, those of the pure shelf under coverage, and sockets again on h11 and on the stock loop
	$(MAKE) --jobs=2 --output-sync=target --no-print-directory \
		test-coverage test-system test-rest test-clients test-parser test-loop

# The parts of `test`, two at a time: those with real sockets wait more than they compute.
test-system: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(bin)/python -m pytest tests/system --ignore-glob='*/test_sdk_*.py'

test-clients: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(bin)/python -m pytest tests/system/test_sdk_*.py

test-rest: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(bin)/python -m pytest $$($(bin)/python -m tests.pure_coverage --others)

test-parser: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 BUSBAR_HTTP_PARSER=h11 $(bin)/python -m pytest $(parser_tests)

test-loop: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 BUSBAR_LOOP=asyncio $(bin)/python -m pytest $(loop_tests)

test-coverage: $(venv)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(bin)/python -m tests.pure_coverage

check: $(venv)/dev.stamp ## style, types, spelling and the house rules
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/codespell
	$(bin)/python -m pytest tests/house

perf: $(venv)/dev.stamp build/compiled/stamp ## measure against HAProxy side by side; ARGS="..." is passed on
	$(bin)/python -m perf $(ARGS)

chaos: $(venv)/dev.stamp ## everything fails at random under load, about two minutes; ARGS="--seconds 20 --seed 1"
	$(bin)/python -m tests.chaos $(ARGS)

fuzz: $(venv)/dev.stamp ## hostile inputs for every parser; ARGS="--inputs 1000000 --only events frames"
	$(bin)/python -m tests.fuzz $(ARGS)

soak: $(venv)/dev.stamp ## ten minutes of the same with figures: memory, files, requests; ARGS="--seconds 3600"
	$(bin)/python -m tests.chaos --seconds 600 --clients 120 --sample 10 $(ARGS)

lock: ## resolve pyproject.toml into the lock files; ARGS=--upgrade moves every pin
	test -x $(bin)/uv || $(MAKE) $(venv)/dev.stamp
	$(bin)/uv pip compile $(lock_flags) $(ARGS) pyproject.toml -o requirements.lock
	$(bin)/uv pip compile $(lock_flags) $(ARGS) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(bin)/uv pip compile $(lock_flags) --group compile -c requirements-dev.lock -o requirements-compile.lock

changelog: $(venv)/dev.stamp ## move the notes in changes/ to CHANGELOG.md: VERSION=x.y.z
	$(bin)/towncrier build --version "$(VERSION)"

clean: ## remove everything that make made
	rm -rf $(venv) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find busbar_fast perf tests -name __pycache__ -prune -exec rm -rf {} +

# A stamp is the time of the last installation; a lock file newer than it installs again. A lock is complete, so nothing
# is resolved: a resolver may prefer a version newer than the pin for a requirement with extras, and then lacks its hash.
install := $(bin)/python -m pip install --quiet --no-deps --require-hashes
$(bin)/pip:
	@test -n "$(PYTHON)" || { echo "busbar-fast needs Python 3.11 or newer, and none was found" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "busbar-fast needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(venv)

$(venv)/runtime.stamp: requirements.lock | $(bin)/pip
	$(install) -r requirements.lock
	@touch $@

$(venv)/dev.stamp: requirements-dev.lock | $(bin)/pip
	$(install) -r requirements-dev.lock
	@touch $@ $(venv)/runtime.stamp
