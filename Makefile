# Everything a person does with FlexDash. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test test-postgres lint bench faults shell-clean FORCE

VENV := .venv
BIN := $(VENV)/bin
# Three processes for two cores: each waits for others a part of its time, and more only get into each other's way (the same
# suite takes 460 s of CPU with three, 540 with four, 650 with six). tests/conftest.py says which files go first.
PYTEST = $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not faults" $(PYTEST_ARGS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Some machines ask Python to keep no compiled files: then each of the many processes would compile all of FlexDash anew.
unexport PYTHONDONTWRITEBYTECODE

help:  ## List what there is to do
	@echo "FlexDash. What there is to do:"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: $(VENV)/.installed  ## Start FlexDash with a sandbox Amazon and a demo workspace (PORT=9000 make run moves it)
	@exec $(BIN)/python -m flexdash run

test: $(VENV)/.installed-dev  ## Run the whole test suite on SQLite
	@env -u TEST_DATABASE_URL $(PYTEST)

test-postgres: $(VENV)/.installed-dev  ## Run the same suite on the PostgreSQL server TEST_DATABASE_URL names
	@test -n "$$TEST_DATABASE_URL" || { \
	  echo "Set TEST_DATABASE_URL to a PostgreSQL server whose user may create databases, for example"; \
	  echo "  TEST_DATABASE_URL=postgresql://me:secret@127.0.0.1/postgres make test-postgres"; exit 2; }
	@$(PYTEST)

lint: $(VENV)/.installed-dev  ## Check style and layout of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

bench: $(VENV)/.installed-dev  ## Measure speed and keep it in bench/results.md (make bench BENCHES=pages: only that)
	@$(BIN)/python -m bench --keep $(BENCHES)

faults: $(VENV)/.installed-dev  ## Run the long fault suite and print a figure per fault
	@$(BIN)/python -m pytest -m faults -n 0 -s tests

shell-clean:  ## Remove the environment and what the tests leave; the data in var/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# The environment is made once and installed again only when the list of parts has changed. A stamp holds a copy
# of the list it was made from, so a checkout that only touches the file's time installs nothing.
$(VENV)/.installed: FORCE
	@cmp -s requirements.txt $@ || { \
	  $(MAKE) --no-print-directory -s $(BIN)/python && \
	  echo "Installing what FlexDash runs on (once; a minute or two) …" && \
	  $(BIN)/python -m pip install --quiet -r requirements.txt && \
	  cp requirements.txt $@; }

$(VENV)/.installed-dev: FORCE
	@cat requirements.txt requirements-dev.txt | cmp -s - $@ || { \
	  $(MAKE) --no-print-directory -s $(BIN)/python && \
	  echo "Installing what FlexDash and its tests run on (once; a minute or two) …" && \
	  $(BIN)/python -m pip install --quiet -r requirements-dev.txt && \
	  cp requirements.txt $(VENV)/.installed && \
	  cat requirements.txt requirements-dev.txt > $@; }

$(BIN)/python:
	@for candidate in python3.11 python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    "$$candidate" -m venv $(VENV) || { \
	      rm -rf $(VENV); \
	      echo "$$candidate could not make a virtual environment; on Debian and Ubuntu install python3.11-venv."; \
	      exit 1; }; \
	    exit 0; \
	  fi; \
	done; \
	echo "FlexDash needs Python 3.11 and found none: neither python3.11 nor python3 is one."; \
	echo "Install Python 3.11 (with its venv module) and run the same command again."; \
	exit 1

FORCE:
