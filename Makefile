# Every command a developer or a visitor needs. `make` alone lists them.
# Needs Python 3.11 or newer, git and make; everything else is installed into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
TESTS ?= tests
WORKERS ?= --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
BENCH ?=
ARGS ?=
SOURCES := services libs cli sdk tests bench examples
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

# uv reads its own settings only: hand it the package index and the trust store that pip uses.
export UV_SYSTEM_CERTS ?= true
export UV_LINK_MODE ?= copy
define uv
index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}}"; \
  if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; VIRTUAL_ENV=$(VENV) $(BIN)/uv
endef

define protoc
$(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(1) --grpc_python_out=$(1) --mypy_out=$(1) \
  --mypy_grpc_out=$(1) --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
  --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc $$(find proto -name '*.proto' | sort)
endef

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.setup ## Create .venv with the locked, hash-checked dependencies
	@:

$(VENV)/bin/uv: requirements/dev.lock
	@python="$(PYTHON)"; \
	for candidate in $${python:-python3.11 python3 python3.12 python3.13 python3.14}; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "Easel needs Python 3.11 or newer and found none; install it or say where it is: make setup PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || "$$found" -m venv $(VENV) || { \
	  echo "$$found cannot create virtual environments; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	@awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements/dev.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@touch $@

$(VENV)/.setup: $(VENV)/bin/uv requirements/dev.lock pyproject.toml
	@echo "setting up $(VENV)"
	@wanted=dev; if [ -e $(VENV)/.demo ]; then wanted=demo; fi; \
	$(uv) pip sync --quiet "requirements/$$wanted.lock"
	@$(uv) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.demo: $(VENV)/.setup requirements/demo.lock
	@echo "adding what the demo needs to $(VENV)"
	@$(uv) pip install --quiet --require-hashes --requirements requirements/demo.lock
	@touch $@

.PHONY: demo
demo: $(VENV)/.demo ## Start Easel, deploy two models, call them, watch one heal, leave Easel running
	@$(BIN)/python -m examples.demo $(ARGS)

.PHONY: up
up: setup ## Start Easel on this machine, in the background
	@$(BIN)/easel up --detach $(ARGS)

.PHONY: down
down: setup ## Stop the Easel that `make up` or `make demo` started, and everything it runs
	@$(BIN)/easel down $(ARGS)

.PHONY: test
test: setup ## Run the tests; those that need a part this machine lacks are skipped and say so
	@$(BIN)/pytest $(WORKERS) $(TESTS) $(ARGS)

.PHONY: test-all
test-all: ## Run the tests and fail where a part (Docker Engine, PostgreSQL...) is missing
	@EASEL_TEST_REQUIRE=all $(MAKE) --no-print-directory test

.PHONY: check
check: setup ## Lint, format, types, stale stubs, import directions
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet && echo "Formatted as ruff wants it."
	@$(BIN)/mypy
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; $(call protoc,"$$fresh"); \
	for stub in $$(cd "$$fresh" && find . -name '*_pb2*.py*'); do \
	  cmp -s "$$fresh/$$stub" "proto/$$stub" || { echo "proto/$$stub is stale: run make proto" >&2; stale=1; }; \
	done; [ -z "$${stale:-}" ] && echo "The generated stubs are current."
	@$(BIN)/lint-imports

.PHONY: fmt
fmt: setup ## Format the code and mend what the linter can mend
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: proto
proto: setup ## Generate the Python stubs from proto/
	@$(call protoc,proto)

.PHONY: dashboards
dashboards: setup ## Write the Grafana dashboards from deploy/grafana/source/
	@$(BIN)/python -m deploy.grafana.source

.PHONY: bench
bench: $(VENV)/.setup ## Measure, and refresh docs/BENCHMARKS.md; BENCH=name measures one part
	@$(BIN)/python -m bench.run_all $(BENCH) $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.setup ## Break, move and change services under load, count failed requests, refresh docs/RELIABILITY.md
	@$(BIN)/python -m bench.chaos $(ARGS)

.PHONY: lock
lock: $(VENV)/bin/uv ## Refresh requirements/*.lock from pyproject.toml
	@$(LOCK) -o requirements/runtime.lock
	@$(LOCK) --group dev -c requirements/runtime.lock -o requirements/dev.lock
	@$(LOCK) --group dev --group demo -c requirements/dev.lock -o requirements/demo.lock

.PHONY: clean
clean: ## Remove .venv, caches and build output (never the data of a running Easel)
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
