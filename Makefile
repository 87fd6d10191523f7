# The commands of a developer. `make` alone lists them. They work with GNU make 3.81 and newer.

# The first Python on the path that is new enough. `make PYTHON=...` selects another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& { echo "$$python"; exit; }; done; echo python3)
RUN := .venv/bin/python
CODE := api bench cli domain operations producers runtime schemas simulator sinks stack streams tables topics verdict tests scripts
# The slowest tests come first, so that all workers finish at about the same time. Workers mostly wait for servers and
# processes: four workers keep two cores busy. Each worker has its own servers. `make test WORKERS=0 ARGS=-s` shows
# the output of the tests.
TESTS := tests/acceptance tests/integration tests/properties tests/contract tests/unit
WORKERS ?= 4
PYTEST := -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# The fault tests run last and alone, because they measure times. pytest exits with 5 if ARGS selects no test.
NONE := || [ $$? -eq 5 ]
both = { $(RUN) $(PYTEST) $(1) $(ARGS) $(wildcard $(TESTS)) $(NONE); } \
	&& { $(RUN) -m pytest $(1) $(ARGS) tests/faults $(NONE); }
# Tests start hundreds of processes. Each would compile our modules again where Python may not keep its bytecode.
export PYTHONDONTWRITEBYTECODE :=
MINUTES ?= 30
SEED ?= 1
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up test test-all test-docker test-cluster faults chaos mutants bench bench-smoke check lint format docs lock

help: ## list the targets
	@echo "campaign-streams: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

setup: ## create .venv with all dependencies (the other targets do this when needed)
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "Python 3.11 or newer is needed (Debian, Ubuntu: apt install python3 python3-venv)" >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py

setup-dev:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "Python 3.11 or newer is needed (Debian, Ubuntu: apt install python3 python3-venv)" >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py --dev

demo: setup ## run a campaign on a real Kafka and Postgres and check its result (ARGS="--recipients 500")
	@.venv/bin/campaigns demo $(ARGS)

up: setup ## run all processes until Ctrl-C; the data stays in .campaigns/
	@.venv/bin/campaigns up $(ARGS)

test: setup-dev ## run the tests (ARGS="-k name")
	@$(call both,-m "not slow")

test-all: setup-dev ## run all tests, the slow ones too
	@$(call both,)

test-docker: setup-dev ## run the integration tests on containers of the official images (needs Docker)
	@$(RUN) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --servers=containers \
		-m "not slow" $(ARGS) tests/integration

test-cluster: setup-dev ## run the cluster tests: 3 brokers, a standby, 2 of each process (KAFKA_VERSION=4.4.0)
	@$(if $(KAFKA_VERSION),CAMPAIGNS_EMBEDDED_KAFKA=$(KAFKA_VERSION)) $(RUN) -m pytest -s $(ARGS) tests/cluster

faults: setup-dev ## run the fault tests: kill, freeze, cut off and poison each part, under load
	@$(RUN) -m pytest -s $(ARGS) tests/faults

chaos: setup-dev ## inject the same faults at random (MINUTES=30 SEED=1)
	@$(RUN) -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

mutants: setup-dev ## change the code in small ways and print each change that no test notices (ARGS="--only listed")
	@$(RUN) -m tests.mutants $(ARGS)

bench: setup-dev ## measure each stage against its peers and write docs/benchmarks.md (bench-ingress: one stage)
	@$(RUN) -m bench $(ARGS)

bench-smoke: setup-dev ## run all benchmarks in a tiny size, which asserts no times (ingress and sink are part of `make test`)
	@$(RUN) -m bench --smoke $(ARGS)

bench-%: setup-dev
	@$(RUN) -m bench $* $(ARGS)

lint: setup-dev ## check format, lint rules, strict types and import contracts
	@$(RUN) -m ruff format --check $(wildcard $(CODE))
	@$(RUN) -m ruff check $(wildcard $(CODE))
	@$(RUN) -m mypy
	@.venv/bin/lint-imports

check: lint test ## run all checks of CI: lint and test

format: setup-dev ## format the code
	@$(RUN) -m ruff format $(wildcard $(CODE))
	@$(RUN) -m ruff check --fix --quiet $(wildcard $(CODE)) || true

docs: setup-dev ## write the generated files again: reference, statuses, record schemas, alert rules
	@$(RUN) -m scripts.reference
	@$(RUN) -m scripts.diagram
	@$(RUN) -m scripts.export_schemas
	@$(RUN) -m scripts.alert_rules

lock: setup-dev ## update the pinned packages
	@for out in "requirements.txt --extra setup --extra traces" \
			"requirements-embedded.txt --extra setup --extra traces --extra embedded" \
			"requirements-dev.txt --extra setup --extra traces --extra embedded --extra dev"; do \
		.venv/bin/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o $$out || exit 1; done
	@.venv/bin/uv pip compile requirements-mutants.in --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements-mutants.txt
	@for peer in $(filter-out bench/peers/earlier.in,$(wildcard bench/peers/*.in)); do \
		.venv/bin/uv pip compile $$peer --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links --no-header --no-annotate --quiet -o $${peer%.in}.txt || exit 1; done
	@$(RUN) -m bench.peer_jars
