# Every target prepares what it needs under .local/ first; nothing else has to be run before.
# Choose the interpreter with: make PYTHON=/path/to/python3.11 ...

PYTHON ?= python3.11
BIN := .local/venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long chaos bench bench-aggregation bench-matching up stop status lint format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Prepare .local/: Python environment and jars (every other target does it, too)
	@PYTHON="$(PYTHON)" bash stack/prepare.sh

demo: setup ## Shop traffic, tables and a model through the whole system; ARGS=--keep leaves it on
	@$(BIN)/millrace demo $(ARGS)

test: setup ## Unit, JVM and end-to-end tests but the slow ones; ARGS go to pytest
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-long: setup ## All tests
	@$(BIN)/python -m pytest $(ARGS)

chaos: setup ## Only the tests that kill things
	@$(BIN)/python -m pytest -k chaos $(ARGS)

bench: setup ## Throughput and latency beside a Flink CEP job
	@$(BIN)/python -m benchmarks $(ARGS)

bench-aggregation: setup ## Aggregates in memory, then in the job beside Flink SQL
	@$(BIN)/python -m benchmarks aggregation $(ARGS)
	@$(BIN)/python -m benchmarks sql $(ARGS)

bench-matching: setup ## Rules beside Flink's NFA looped over them, in memory; ARGS=--quick to see it run
	@$(BIN)/python -m benchmarks matching $(ARGS)

up: setup ## Start the local stack, or join it
	@$(BIN)/millrace up $(ARGS)

stop: ## Stop the local stack
	@if [ -x $(BIN)/millrace ]; then $(BIN)/millrace stop $(ARGS); else echo "nothing was running"; fi

status: setup ## Show the local stack
	@$(BIN)/millrace status $(ARGS)

lint: setup ## Ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## Let ruff repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: setup ## Write requirements.lock from what is installed
	@$(BIN)/python -m stack.lock

clean: stop ## Remove runs, caches and the built Flink; keeps the environment and the jars
	@rm -rf .local/run .local/test-run .local/flink .local/flink.new *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./.local -prune -o -name __pycache__ -type d -exec rm -rf {} +
