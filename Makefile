# Two commands matter to a newcomer: `make demo` and `make test`. Both set up everything they need
# inside the checkout (.venv, .demo) and are quick on a second call.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_JOBS ?= 3
# A test of real processes that fails is tried once more, at most three of them in a whole run, and
# what its first try said is printed. Not so where a failure that comes and goes is what is looked for.
NO_SECOND_TRY := unit sim chaos e2e/test_chaos.py e2e/test_concurrent_applies.py \
    e2e/test_killed_at_every_event.py e2e/test_power_cut.py
SECOND_TRY := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks \
    $(NO_SECOND_TRY:%=--rerun-exclude-path tests/%)
EXAMPLE := examples/stdlib_lm/pipeline.py

.DEFAULT_GOAL := help
.PHONY: help demo test unit fuzz sim chaos lint types imports docs wheel check bench screenshots clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.venv:
	$(PYTHON) -c 'import sys; sys.exit("marin-build needs Python >= 3.11; say: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml
	$(PIP) install --quiet --editable '.[examples]'
	@touch $@

$(VENV)/.dev: $(VENV)/.venv pyproject.toml
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## plan, build and draw the bundled example; the second time there is nothing to do
	@$(BIN)/marin-build plan -f $(EXAMPLE)
	@$(BIN)/marin-build apply -f $(EXAMPLE)
	@$(BIN)/marin-build graph -f $(EXAMPLE) -o .demo/graph.html
	@echo "open .demo/graph.html in a browser; the outputs are in .marin-build/outputs"

# Each of the processes reads all tests: compiled ones, the second time.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev  ## all tests
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist worksteal $(SECOND_TRY) $(PYTEST_ARGS)

unit: $(VENV)/.dev  ## the pure tests only: seconds
	$(BIN)/python -m pytest -q tests/unit

fuzz: $(VENV)/.dev  ## property tests, with many new examples
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n $(PYTEST_JOBS) tests/unit $(PYTEST_ARGS)

N ?= 100000
sim: $(VENV)/.dev  ## the protocol in N random schedules, or in one: SEED=7 KIND=unique
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),--schedules $(N) --jobs $(PYTEST_JOBS)) $(if $(FIRST),--first $(FIRST)) $(if $(KIND),--kind $(KIND))

SECONDS ?= 60
chaos: $(VENV)/.dev  ## real appliers, killed and frozen for SECONDS=3600, or one round again: SEED=7 TIMES=10
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED) --times $(or $(TIMES),1),--seconds $(SECONDS)) $(if $(FIRST),--first $(FIRST))

lint: $(VENV)/.dev  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict
	$(BIN)/mypy

imports: $(VENV)/.dev  ## import-linter: each floor imports only what lies below it
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## the documentation as a site, in site/: a broken link fails it
	@# Not --quiet: mkdocs would not count the warnings that it does not print.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "the site is in site/: open site/index.html"

check: lint types imports docs test  ## all that CI runs

bench: $(VENV)/.dev  ## the tables in benchmarks/RESULTS.md, in minutes
	$(BIN)/python -m benchmarks.run --output benchmarks/RESULTS.md

screenshots: $(VENV)/.dev  ## the pictures of the graph page in docs/images (needs Chromium)
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/browser/test_documentation.py

clean:  ## remove what make and the demo made
	rm -rf $(VENV) .demo .marin-build .screenshots dist site
