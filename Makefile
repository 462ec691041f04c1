# The front door for people: `make help` lists what there is.
# POSIX shell and GNU make 3.81 are enough; everything else is fetched into .venv/.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
STARTED := $(VENV)/.setup-started

# An interpreter may be named: make setup PYTHON=/path/to/python3.12
PYTHON ?=
CORES ?= all
WORKERS ?= 2
# Passed on to pytest, for example: make test PYTEST_ARGS="-k pyramid"
PYTEST_ARGS ?=
# Passed on to each benchmark, for example: make bench BENCH_ARGS=--quick
BENCH_ARGS ?=
# Passed on to uv, for example: make lock LOCK_ARGS=--upgrade
LOCK_ARGS ?=

CODE := workflow_scripts tests benchmarks envs
# Modules that benchmarks import and that measure nothing by themselves.
BENCH_PARTS := benchmarks/davis_pyrtools.py benchmarks/limits_films.py benchmarks/limits_forks.py benchmarks/limits_methods.py
BENCHMARKS := $(filter-out $(BENCH_PARTS),$(sort $(wildcard benchmarks/*.py)))

# Commands that start others by name find the environment's first.
WITH_PATH := PATH="$(CURDIR)/$(BIN):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench lock envs clean distclean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1	/' | expand -t 18

setup: $(STAMP) ## Install everything into .venv/ (again only when the lock or pyproject.toml changed)
	@:

# The stamp is written last. A set-up that was cut off leaves $(STARTED) behind, and the next one
# begins with an empty environment, because a half-written package looks installed.
$(STAMP): requirements.lock pyproject.toml
	@set -e; \
	case "$$PWD" in *[[:space:]]*) \
		echo "make setup: Snakemake cannot run where a path has a space in it: $$PWD;" \
			"rename or move the folder" >&2; \
		exit 1;; \
	esac; \
	if [ -e $(STARTED) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		rm -rf $(VENV); \
		chosen=; \
		for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
			if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
			then chosen=$$python; break; fi; \
		done; \
		if [ -z "$$chosen" ]; then \
			echo "make setup: no Python 3.11 or newer found;" \
				"install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		if ! "$$chosen" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "make setup: $$chosen has no venv module;" \
				"install it (Debian and Ubuntu: apt-get install python3-venv)" >&2; \
			exit 1; \
		fi; \
		echo "Setting up $(VENV)/ with $$("$$chosen" --version); the first time takes minutes"; \
		mkdir -p $(VENV); \
		touch $(STARTED); \
		"$$chosen" -m venv $(VENV); \
	fi; \
	touch $(STARTED); \
	quiet=; [ -t 2 ] || quiet=--quiet; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'; \
	$(BIN)/uv pip sync $$quiet --python $(BIN)/python --require-hashes requirements.lock; \
	$(BIN)/uv pip install $$quiet --python $(BIN)/python \
		--no-deps --no-build-isolation --editable .; \
	touch $(STAMP); \
	rm -f $(STARTED); \
	echo "Ready: $(BIN)/visualmic and $(BIN)/snakemake"

demo: setup ## Simulate films, recover their sounds, write the report
	@$(WITH_PATH) $(BIN)/snakemake --cores $(CORES)
	@echo "The report: $(CURDIR)/results/report.html"

test: setup check ## Run every check, then every test
	@$(WITH_PATH) $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --durations=15 $(PYTEST_ARGS)

check: setup ## Style, formatting, workflow lint and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/snakefmt --check Snakefile rules
	$(WITH_PATH) $(BIN)/snakemake --lint
	$(BIN)/mypy

format: setup ## Put code and rules into the project's format
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)
	$(BIN)/snakefmt Snakefile rules

bench: setup ## Run every benchmark; tables go to benchmarks/results/
	@set -e; for benchmark in $(BENCHMARKS); do \
		echo "== $$benchmark"; $(WITH_PATH) $(BIN)/python $$benchmark $(BENCH_ARGS); \
	done

lock: setup ## Resolve requirements.lock again, and the conda files made from it
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --extra pipeline --extra learn --extra dev \
		--custom-compile-command "make lock" $(LOCK_ARGS) pyproject.toml -o requirements.lock
	$(BIN)/python envs/generate.py

envs: setup ## Write envs/*.yaml from requirements.lock
	$(BIN)/python envs/generate.py

clean: ## Remove caches and everything the workflow made
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .snakemake benchmarks/results
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} + 2>/dev/null || true
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the environment as well
	rm -rf $(VENV)
