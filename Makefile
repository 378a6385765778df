# Everything this project does, by name: `make help`. It needs python3 >= 3.11 and make; the rest goes into .venv.

VENV ?= .venv
BIN := $(VENV)/bin
# The first that runs and is new enough. Running it matters: pyenv puts commands on PATH that only print an error.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help
.NOTPARALLEL: # two pips at once would spoil the environment
.PHONY: help demo test test-all bench gallery lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo ## a softmax classifier learns real digits, in your terminal
	@$(BIN)/tinygrad-sm demo

test: $(VENV)/.test ## the light tests, in a few minutes
	@$(BIN)/pytest --no-header -n auto -m "not heavy"

test-all: test $(VENV)/.test-all ## the light tests, then the heavy ones and the notebooks
	@$(BIN)/pytest --no-header -n auto -m heavy
	@$(BIN)/pytest --no-header --nbmake notebooks

bench: $(VENV)/.demo ## the benchmarks, against other engines
	@$(BIN)/python benchmarks/run.py

gallery: $(VENV)/.gallery ## draw the pictures and pages of viz/ afresh
	@$(BIN)/python viz/all.py

lint: $(VENV)/.lint ## style, types, and the floors of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean: ## remove the environments, the builds and the caches
	rm -rf $(VENV) .venvs build dist .benchmarks .hypothesis .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What each target installs beside the package. The stamps lie in the environment and go with it.
$(VENV)/.demo: EXTRAS = [dot]
$(VENV)/.test: EXTRAS = [test,dot]
$(VENV)/.test-all: EXTRAS = [test,truths,dot,plots,pages]
$(VENV)/.gallery: EXTRAS = [dot,plots]
$(VENV)/.lint: EXTRAS = [dev]

$(VENV)/.demo $(VENV)/.test $(VENV)/.test-all $(VENV)/.gallery $(VENV)/.lint: pyproject.toml | $(BIN)/pip
	@echo 'Installing tinygrad_sm$(EXTRAS) into $(VENV)'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.$(EXTRAS)'
	@touch $@

$(BIN)/pip: # the last file that venv writes, so half an environment is made anew
	@test -n '$(PYTHON)' || { echo 'No python3 on PATH is 3.11 or newer. Install one, or name it: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo '$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt-get install $(notdir $(PYTHON))-venv'; exit 1; }
