# make demo    everything from nothing to a rollback and a promotion, before your eyes
# make test    every check that a change must pass
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := tests:operator:examples
# A cluster of yours is used only when you name it: make demo KUBECONFIG=~/.kube/config
ifeq ($(origin KUBECONFIG),command line)
export MODELDEPLOY_KUBECONFIG := $(KUBECONFIG)
endif
unexport KUBECONFIG
CASE ?= nulls

.PHONY: help setup demo test lint unit api e2e providers runtimes bench generate cluster-up cluster-down clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.done ## Make .venv with everything that development needs

.venv/.done: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "modeldeploy needs Python 3.11 or later, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@echo "setting up .venv (a minute when the package cache is cold)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[telemetry,cli]' --group dev
	@touch $@

demo: setup ## Install, roll out a bad version and a good one, watch. CASE=nulls|slow|errors
	@$(BIN)/python -m demo --case $(CASE) $(ARGS)

test: lint unit api e2e ## All checks: lint, unit, api, e2e

lint: setup ## Style, types, import layers, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: setup ## Pure decisions, and parts in one process
	@$(BIN)/pytest -m unit -n 2 --dist loadfile tests/unit tests/bench

api: setup ## On a real API server without nodes, and real programs on loopback
	@$(BIN)/pytest -m api -n 2 --dist loadfile --no-loadscope-reorder tests/unit tests/api

e2e: setup ## On real nodes, two at once, each with the installed chart
	@$(BIN)/pytest -m e2e -n auto --dist loadfile tests/e2e

providers: setup ## On real nodes, two at once, behind Envoy Gateway and Traefik (built once, some minutes)
	@$(BIN)/pytest -m providers -n auto tests/providers

runtimes: setup ## On the real model servers, each in an environment of its own (made once, some minutes)
	@$(BIN)/pytest -m runtimes tests/runtimes

bench: setup ## One JSON line per figure that the project promises
	@$(BIN)/python -m bench

generate: setup ## Write crds/ and the chart's copy from the models
	@$(BIN)/python -m modeldeploy.api.crd --write

cluster-up: setup ## Start a cluster for development and say how to use it
	@$(BIN)/python -m cluster up

cluster-down: setup ## End it; ARGS=--all for every one
	@$(BIN)/python -m cluster down $(ARGS)

clean: ## Remove .venv and caches of this checkout
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
