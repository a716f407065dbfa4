# The commands of this project. Plain `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run seed setup worker test test-postgresql test-mysql check browser docs lock bench screenshots

export FLASK_APP := app:served
# Only these two are about the demo; `make run DEMO=0` starts a real installation.
run seed: export DEMO ?= 1

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

run: $(VENV)/run.stamp ## start the portal with the demo world (DEMO=0: an installation of your own)
	@exec $(BIN)/flask serve

seed: $(VENV)/run.stamp ## empty the database and fill the demo world anew
	@$(BIN)/flask seed

setup: $(VENV)/run.stamp ## prepare a real installation and print the link for its first administrator
	@$(BIN)/flask setup

worker: $(VENV)/run.stamp ## run the worker alone (make run runs one as well)
	@exec $(BIN)/flask worker

test: $(VENV)/test.stamp ## run all tests, in a browser as well
	@chromium=$$(.ci/browser) && CHROMIUM=$$chromium $(BIN)/python -m pytest -q -n 2 --dist worksteal

# What a database can answer in its own way; pages in a browser, axe and nonsense are the same on all. Pages are asked on
# servers where their statements differ (locks, JSON, search, figures): PAGES=tests/pages asks all of them.
PAGES := $(foreach name,care cost desk figures live queues reports requests sales tags views,tests/pages/test_$(name).py)
SERVER_TESTS := tests/rules tests/test_migrations.py tests/test_entitlement.py tests/test_visibility.py $(PAGES)

# The laws of money and what prices come to are the same rows on every server: one is asked.
OTHERS_mysql := --ignore tests/rules/test_laws_of_money.py --ignore tests/rules/test_prices.py

test-postgresql test-mysql: test-%: $(VENV)/test.stamp ## run the rules and pages on a database server
	@url=$$(.ci/databases $*) && DATABASE_URL=$$url $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not plain" $(SERVER_TESTS) $(OTHERS_$*)

check: $(VENV)/test.stamp ## everything that must hold before a change is taken
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/codespell
	@$(MAKE) --no-print-directory test test-postgresql test-mysql

browser: ## find Chromium for the tests, or install it (Debian, as root)
	@.ci/browser

docs: $(VENV)/run.stamp ## write docs/configuration.md from the settings
	@$(BIN)/flask settings > docs/configuration.md

lock: $(VENV)/run.stamp ## pin the newest versions of what requirements/*.in name
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@for set in run s3 stripe test; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --output-file requirements/$$set.txt requirements/$$set.in || exit 1; done

bench: $(VENV)/test.stamp ## measure against the floor: see bench/
	@$(BIN)/python bench/run.py

screenshots: $(VENV)/test.stamp ## make the pictures in docs/ anew
	@chromium=$$(.ci/browser) && CHROMIUM=$$chromium $(BIN)/python tests/screenshots.py

$(VENV)/run.stamp: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 run")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@
