.DEFAULT_GOAL := help
.PHONY: help setup run test lint types bench plan playbook-test lock lock-check clean
PY := .venv/bin/python
JOBS ?= 3
BENCHES := $(basename $(notdir $(wildcard bench/[a-z]*.py)))

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install what the project needs, below its own folder only
	@sh local/bootstrap.sh

run: setup ## Start the embedded estate and drill a restore; ONCE=1 ends when the story is told; ESTATE=...
	@exec $(PY) -m local run $(if $(filter 1 true yes,$(ONCE)),--once) $(if $(ESTATE),--estate $(ESTATE))

test: setup ## Run every test; ARGS="-k drill" narrows
	@$(PY) -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, types and the layers of the design
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@$(PY) -m pyright
	@.venv/bin/lint-imports --no-cache

bench: setup ## Run the benchmarks; SMOKE=1 makes them small
	@set -e; for each in $(BENCHES); do echo "== $$each"; $(PY) -m bench.$$each $(if $(filter 1,$(SMOKE)),--smoke); done

plan: setup ## Print the finance calendar as the automations see it: DAYS=90 ESTATE=... FORMAT=text|json|ics
	@$(PY) -m functions.command_line plan --days $(or $(DAYS),90) --estate $(or $(ESTATE),$(ESTATE_FILE),examples/group/estate.yaml) \
		$(if $(FORMAT),--format $(FORMAT))

playbook-test: setup ## Run a playbook's recorded cases, offline: FILE=...
	@$(PY) -m functions.command_line playbook-test $(or $(FILE),$(error FILE is missing: make playbook-test FILE=...))

lock: ## Compile the requirements with hashes from pyproject.toml
	@sh local/compile_requirements.sh

lock-check: setup ## Fail when the compiled requirements are not what pyproject.toml asks for
	@sh local/compile_requirements.sh --check

clean: ## Remove everything that was set up or made here
	rm -rf .venv node_modules .local .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
