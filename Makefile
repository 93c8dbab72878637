# Every target does its own set-up: a fresh clone needs Python >= 3.11 and make, nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# The first Python that is new enough; name another with `make PYTHON=/path/to/python ...`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$python; break; }; done)

NAMED_PYTHON := $(if $(filter command environment,$(firstword $(origin PYTHON))),$(PYTHON))

OLD_SERVERS := 2.9.2 2.22.5

.PHONY: help demo dev test test-extra check unit bench fidelity chaos golden screenshot reference docs lock clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## The main job, end to end, on this machine, in a minute or two
	@$(BIN)/mlflow-bridge demo

dev: $(VENV)/.test ## A local MLflow, a receiver that prints what comes, and the daemon with its page; Ctrl-C ends them
	@PYTHONPATH=.:tests exec $(BIN)/python -m support.dev

test: check unit bench-short ## Everything that CI runs, but for test-extra

test-extra: docs $(VENV)/.test $(VENV)/.shells $(VENV)/databricks/.done $(VENV)/schemathesis/.done $(OLD_SERVERS:%=$(VENV)/mlflow-%/.done) promtool chromium mariadb ## Tests that need more: systemd, PostgreSQL, MariaDB, old MLflow servers, Prometheus, kustomize, a browser
	$(BIN)/python -m pytest -m extra

check: $(VENV)/.test ## Lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.test
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -m "not extra" --numprocesses 4 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: bench-short
bench-short: $(VENV)/.test
	$(BIN)/python benchmarks/store.py --short
	$(BIN)/python benchmarks/commands.py --short
	$(BIN)/python benchmarks/poll.py --short
	$(BIN)/python benchmarks/relay.py --short
	$(BIN)/python benchmarks/governance.py --short
	$(BIN)/python benchmarks/hints.py --short
	$(BIN)/python benchmarks/million.py --short

bench: $(VENV)/.test $(VENV)/runtime/.done ## Measure speed and size; the figures are ratios within one run
	$(BIN)/python benchmarks/store.py
	BRIDGE_PYTHON=$(VENV)/runtime/bin/python $(BIN)/python benchmarks/commands.py
	BRIDGE_PYTHON=$(VENV)/runtime/bin/python $(BIN)/python benchmarks/poll.py
	BRIDGE_PYTHON=$(VENV)/runtime/bin/python $(BIN)/python benchmarks/relay.py
	$(BIN)/python benchmarks/governance.py
	$(BIN)/python benchmarks/hints.py
	$(BIN)/python benchmarks/replicas.py
	BRIDGE_PYTHON=$(VENV)/runtime/bin/python $(BIN)/python benchmarks/million.py

fidelity: $(VENV)/.test mariadb ## Thousands of random mutations while the bridge polls: is what it delivers what happened?
	$(BIN)/python benchmarks/fidelity.py --mutations 3000
	$(BIN)/python benchmarks/fidelity.py --mutations 3000 --postgresql
	$(BIN)/python benchmarks/fidelity.py --mutations 3000 --mariadb
	$(BIN)/python benchmarks/fidelity.py --mutations 3000 --plug-in
	$(BIN)/python benchmarks/fidelity.py --mutations 3000 --shared
	$(BIN)/python benchmarks/fidelity.py --mutations 3000 --large

chaos: $(VENV)/.test ## Kills, full disks, outages, misbehaving receivers, lost hints, bridges that take over: is anything lost? About 45 minutes
	$(BIN)/python benchmarks/chaos.py
	$(BIN)/python benchmarks/chaos.py --plug-in --kills 100 --events 5000 --minutes 10
	$(BIN)/python benchmarks/chaos.py --replicas --kills 200 --minutes 20

.PHONY: soak
soak: $(VENV)/.test ## The daemon for half an hour under a steady workload: do memory, open files and threads stay as they are?
	$(BIN)/python benchmarks/soak.py

golden: $(VENV)/.test ## Write tests/golden and docs/events.md anew, after a change of a format that is meant
	PYTHONPATH=.:tests $(BIN)/python -m support.golden
	PYTHONPATH=.:tests $(BIN)/python -m support.monitoring

screenshot: $(VENV)/.test chromium ## Write docs/images anew, with a headless browser
	PYTHONPATH=.:tests $(BIN)/python -m support.screenshot

reference: $(VENV)/.test ## Write docs/configuration.md and docs/cli.md anew, after a change of settings or commands
	PYTHONPATH=.:tests $(BIN)/python -m support.reference

docs: $(VENV)/docs/.done ## Build the site of the documentation, strictly, into .venv/site
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict
	@echo "built: $(VENV)/site/index.html (to search in it, serve it: python3 -m http.server --bind 127.0.0.1 --directory $(VENV)/site)"

.PHONY: install uninstall
install: ## As root: the program into /opt/mlflow-bridge, its units, a configuration if there is none; again to upgrade
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" SYSTEMD="$(SYSTEMD)" PYTHON="$(NAMED_PYTHON)" sh systemd/install.sh

uninstall: ## Take that away again; configuration and state stay
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh systemd/uninstall.sh

lock: $(VENV)/.test ## Pin the newest fitting versions, with hashes and without any index
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade --quiet --output-file constraints.txt
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra postgresql --group build --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --constraints constraints.txt --quiet \
		--output-file deploy/requirements.txt
	$(BIN)/uv pip compile pyproject.toml --extra postgresql --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --constraints constraints.txt --quiet --output-file deploy/image-requirements.txt
	$(BIN)/uv pip compile --group build --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --constraints constraints.txt --quiet --output-file deploy/image-build.txt
	$(BIN)/uv pip compile --group pyproject.toml:docs --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade --quiet --output-file docs/requirements.txt

# A browser looks at the status page. It is Debian's: without apt or root, its tests are skipped, and say so.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null && exit; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing chromium ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null \
			|| echo "chromium cannot be installed: the tests of the status page in a browser are skipped"; \
	else \
		echo "chromium is missing, and takes root and apt to install: the tests of the status page in a browser are skipped"; \
	fi

# A registry on MariaDB compares names without case. Its programs are Debian's, without the service: without apt or root, its tests are skipped.
.PHONY: mariadb
mariadb:
	@{ command -v mariadbd || test -x /usr/sbin/mariadbd; } >/dev/null && exit; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing MariaDB ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mariadb-server-core mariadb-client-core >/dev/null \
			|| echo "MariaDB cannot be installed: the tests of a registry on it are skipped"; \
	else \
		echo "MariaDB is missing, and takes root and apt to install: the tests of a registry on it are skipped"; \
	fi

clean: ## Remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { \
		echo "mlflow-bridge needs Python 3.11 or later, and there is none on the PATH: install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "mlflow-bridge needs Python 3.11 or later; $(PYTHON) is not: name another: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# --no-deps: the lists are complete, and every file in them is pinned by its hash.
$(VENV)/.demo: deploy/requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the bridge needs (about a minute) ..."
	@$(PIP) install --require-hashes --no-deps -r deploy/requirements.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

# What people install: mlflow-skinny, without the tests' full MLflow.
$(VENV)/runtime/.done: deploy/requirements.txt pyproject.toml | $(VENV)/.demo
	@$(PYTHON) -m venv $(VENV)/runtime
	@$(VENV)/runtime/bin/python -m pip install --quiet --require-hashes --no-deps -r deploy/requirements.txt
	@$(VENV)/runtime/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.test: constraints.txt $(VENV)/.demo
	@echo "Installing what the tests need, a full MLflow among it (a few minutes) ..."
	@$(PIP) install --require-hashes --no-deps -r constraints.txt
	@touch $@

$(VENV)/docs/.done: docs/requirements.txt | $(VENV)/bin/python
	@echo "Installing what builds the site ..."
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# Shells whose completion test-extra tries.
$(VENV)/.shells: | $(VENV)/bin/python
	@if command -v zsh >/dev/null && command -v fish >/dev/null; then touch $@; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		{ apt-get update -qq && apt-get install --yes -qq --no-install-recommends zsh fish && touch $@; } || \
		echo "zsh and fish could not be installed: their tests are skipped"; \
	else echo "zsh and fish are missing, and only root with apt-get installs them here: their tests are skipped"; fi

# Old MLflow servers, for test-extra. 2.9.2 fails to start on Python 3.12 and later: without a 3.11,
# nothing is installed for it, and its tests say so.
$(VENV)/mlflow-%/.done: tests/support/mlflow-%.txt | $(VENV)/bin/python
	@for python in $(BIN)/python python3.11; do \
		$$python -c 'import sys; sys.exit("$*" == "2.9.2" and sys.version_info >= (3, 12))' 2>/dev/null || continue; \
		echo "Installing MLflow $* ..."; \
		$$python -m venv --clear $(@D) || exit 1; \
		$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $< || exit 1; \
		touch $@; exit; \
	done; echo "MLflow $* needs Python 3.11, and there is none: its tests are skipped"

# A judge of the API and its description, for test-extra.
$(VENV)/schemathesis/.done: tests/support/schemathesis.txt | $(VENV)/bin/python
	@echo "Installing schemathesis ..."
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# Clients of Databricks' API that nobody here wrote, for test-extra. The list was made with
# uv pip compile from databricks-sdk, databricks-registry-webhooks, "protobuf<6" and setuptools.
$(VENV)/databricks/.done: tests/support/databricks-clients.txt | $(VENV)/bin/python
	@echo "Installing Databricks' clients ..."
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# Prometheus' own judge of rules, for test-extra: taken out of Debian's package, which is not installed (it would
# start a server). Needs no root where the package lists are there.
.PHONY: promtool
promtool: | $(VENV)/bin/python
	@command -v promtool >/dev/null || test -x $(VENV)/prometheus/usr/bin/promtool || { \
		mkdir -p $(VENV)/prometheus && cd $(VENV)/prometheus && \
		{ apt-get download --quiet prometheus || { apt-get update --quiet && apt-get download --quiet prometheus; }; } && \
		dpkg -x prometheus_*.deb . && rm prometheus_*.deb; \
	} >/dev/null 2>&1 || echo "promtool cannot be had here (it is in Debian's package prometheus): its tests are skipped"
