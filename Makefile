# Everything a newcomer types. `make` alone shows what there is. Works with GNU make 3.81 and newer.

# The first Python that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& { echo "$$python"; exit; }; done; echo python3)
RUN := .venv/bin/python
CODE := api cli domain operations producers runtime schemas simulator sinks stack streams tables topics verdict tests scripts
# What takes longest comes first, so that the workers end together. They mostly wait for servers and processes, so that
# three keep two cores busy; each has servers of its own. `make test WORKERS=0 ARGS=-s` shows what tests print.
TESTS := tests/acceptance tests/integration tests/properties tests/contract tests/unit
WORKERS ?= 3
PYTEST := -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Faults come last and have the machine for themselves. pytest says 5 where ARGS leaves no test of one half.
NONE := || [ $$? -eq 5 ]
both = { $(RUN) $(PYTEST) $(1) $(ARGS) $(wildcard $(TESTS)) $(NONE); } \
	&& { $(RUN) -m pytest $(1) $(ARGS) tests/faults $(NONE); }
MINUTES ?= 30
SEED ?= 1
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up test test-all faults chaos check lint format lock

help: ## show this
	@echo "campaign-streams: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with everything in it (done by the others themselves)
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "Python 3.11 or newer is needed (Debian, Ubuntu: apt install python3 python3-venv)" >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py

setup-dev:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "Python 3.11 or newer is needed (Debian, Ubuntu: apt install python3 python3-venv)" >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py --dev

demo: setup ## run a whole campaign on a real Kafka and Postgres, and prove its result (ARGS="--recipients 500")
	@.venv/bin/campaigns demo $(ARGS)

up: setup ## run everything until Ctrl-C; the data stays in .campaigns/
	@.venv/bin/campaigns up $(ARGS)

test: setup-dev ## run the tests (ARGS="-k name")
	@$(call both,-m "not slow")

test-all: setup-dev ## run the slow tests as well
	@$(call both,)

faults: setup-dev ## kill, freeze, cut off and poison everything in turn, under load
	@$(RUN) -m pytest -s $(ARGS) tests/faults

chaos: setup-dev ## the same at random: MINUTES=30 SEED=1
	@$(RUN) -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

lint: setup-dev
	@$(RUN) -m ruff format --check $(wildcard $(CODE))
	@$(RUN) -m ruff check $(wildcard $(CODE))
	@$(RUN) -m mypy
	@.venv/bin/lint-imports

check: lint test ## format, lint, strict types, import contracts, tests

format: setup-dev ## put the code into its format
	@$(RUN) -m ruff format $(wildcard $(CODE))
	@$(RUN) -m ruff check --fix --quiet $(wildcard $(CODE)) || true

lock: setup-dev ## pin the newest allowed packages anew
	@for out in "requirements.txt --extra setup" "requirements-dev.txt --extra setup --extra dev"; do \
		.venv/bin/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o $$out || exit 1; done
