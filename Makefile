# Everything is made inside the checkout: .venv/ and .groundwork/. No target needs root.
#   make up STACK=dev SYSTEM=housing PROVIDERS=simulated

STACK ?= dev
SYSTEM ?=
PROVIDERS ?=
ARGS ?=

SHELL := /bin/sh
PYTHON := .venv/bin/python
# Named by their content, so that a checkout of other requirements installs them and a touched file does not.
BASE := .venv/.base-$(shell cksum < requirements/base.txt | tr ' ' '-')
DEV := .venv/.dev-$(shell cksum < requirements/dev.txt | tr ' ' '-')
ENGINE = $(PYTHON) -m tools.engine
ON = --stack "$(STACK)" --system "$(SYSTEM)" --providers "$(PROVIDERS)" -- $(ARGS)
PIP = $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes

FAST_TESTS := $(wildcard tests/unit tests/components tests/program tests/judges)
# What mostly waits: for certificates, machines, an account of AWS, and for servers that start and end.
SLOW_JUDGES := acme ready buckets backup_policies mysql rabbitmq exporters rules_live dashboards agents logs
SLOW_UNITS := load_tool probe_app probe_jobs
SLOW := $(wildcard $(SLOW_JUDGES:%=tests/judges/test_%.py) $(SLOW_UNITS:%=tests/unit/test_%.py))
SLOW_TESTS := $(SLOW) $(wildcard tests/engine tests/e2e)
CLUSTER_TESTS := $(wildcard tests/cluster)
CODE := $(wildcard __main__.py groundwork components sim ops tools policy images tests benchmarks)

.DEFAULT_GOAL := help
.PHONY: help up preview down plan env rollback pulumi engine test test-fast cluster-test mutation lint lock requirements clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$"); printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: STACK=$(STACK)  SYSTEM=$(SYSTEM) (a folder of systems/)  PROVIDERS=real|simulated  ARGS=…"

up: $(BASE) ## bring the stack up and show what runs where
	@$(ENGINE) up $(ON)

preview: $(BASE) ## show what `up` would change
	@$(ENGINE) preview $(ON)

down: $(BASE) ## remove everything of the stack; data too, unless it says keep_data
	@$(ENGINE) down $(ON)

plan: $(BASE) ## the deployment as a table and a diagram, without an engine
	@$(PYTHON) -m ops plan --stack "$(STACK)" $(if $(SYSTEM),--system "$(SYSTEM)") $(ARGS)

env: $(BASE) ## exports for plain pulumi: eval "$$(make -s env)"
	@$(ENGINE) env $(ON)

rollback: $(BASE) ## back to the release before: make rollback ARGS="api --to 3"
	@$(PYTHON) -m ops rollback --stack "$(STACK)" $(if $(SYSTEM),--system "$(SYSTEM)") $(ARGS)

pulumi: $(BASE) ## any pulumi command on the stack: make pulumi ARGS="stack export"
	@$(ENGINE) pulumi $(ON)

engine: $(BASE) ## get the Pulumi CLI, and print where it is
	@$(ENGINE) install

lock: $(BASE) ## build images and resolve their digests
	@$(PYTHON) -m ops lock --stack "$(STACK)" $(if $(SYSTEM),--system "$(SYSTEM)") $(ARGS)

test: lint test-fast ## everything: first what needs no engine, then what does
	engine=$$($(ENGINE) install) && GROUNDWORK_PULUMI="$$engine" $(PYTHON) -m pytest -ra $(SLOW_TESTS)

test-fast: $(DEV) ## tests that need no engine
	$(PYTHON) -m pytest -q -n auto $(FAST_TESTS) $(SLOW:%=--ignore=%)

cluster-test: $(DEV) ## tests on a real API server; the first run builds it, for 10 to 20 minutes
	$(PYTHON) -m pytest -ra $(CLUSTER_TESTS)

mutation: $(DEV) ## do the tests of alerts notice every changed threshold, duration and comparison?
	$(PYTHON) -m tests.mutation.alerts $(ARGS)

lint: $(DEV) ## ruff and mypy
	$(PYTHON) -m ruff check $(CODE)
	$(PYTHON) -m mypy

requirements: $(DEV) ## compile requirements/*.in to hashed pins (newer ones: ARGS=--upgrade)
	@cd requirements && for name in base dev checkov go; do \
		../$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --custom-compile-command "make requirements" $(ARGS) $$name.in -o $$name.txt || exit 1; done

clean: ## remove what was made; running stacks must be down first
	@if grep -qs '"urn"' .groundwork/state/real/.pulumi/stacks/*/*.json; then \
		echo "A real stack is up, and only its state in .groundwork knows it: make down first." >&2; exit 1; fi
	@chmod -R u+w .groundwork 2>/dev/null || true
	rm -rf .venv .groundwork .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, python3 is: $$(python3 --version 2>&1)" >&2; exit 1; }
	@echo "Making the virtual environment .venv (once, about a minute) …"
	@python3 -m venv .venv || { rm -rf .venv; \
		echo "python3 -m venv failed: on Debian and Ubuntu, install python3-venv" >&2; exit 1; }

$(BASE): | .venv/bin/python
	@$(PIP) -r requirements/base.txt
	@rm -f .venv/.base-*; touch $@

$(DEV): $(BASE)
	@echo "Installing what tests and linters need …"
	@$(PIP) -r requirements/dev.txt
	@rm -f .venv/.dev-*; touch $@
