# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test test-slow lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## create .venv with everything for the demo and the tests

# The stamp is renewed whenever the list of dependencies changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rowvec needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment: apt install python3-venv"; exit 1; }
	@echo "Installing rowvec and its models into $(VENV) (torch is large: a few minutes the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	@touch $@

demo: install ## start Postgres and the worker, embed the standard library, search it
	@$(BIN)/rowvec demo

test: install ## run all tests except the slow ones
	$(BIN)/pytest -m 'not slow' $(ARGS)

test-slow: install ## run the tests that need minutes
	$(BIN)/pytest -m slow $(ARGS)

lint: install ## ruff, mypy --strict, import-linter, pgspot
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src jobs scripts bench migrations/env.py
	$(BIN)/lint-imports
	$(BIN)/python scripts/lint_sql.py

format: install ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the build left behind (.venv included)
	rm -rf $(VENV) build dist src/*.egg-info
