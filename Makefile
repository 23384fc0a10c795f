# make app: install what is needed and open the app on 127.0.0.1:7860.   make test: install and run the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: app test install install-dev packages packages-test lint format type bench cards clean

app: install
	$(BIN)/python app.py $(ARGS)

test: install-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 $(ARGS)

install: packages $(VENV)/installed
install-dev: packages packages-test $(VENV)/installed-dev

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: install-dev
	$(BIN)/mypy

bench: install-dev
	$(BIN)/python -m tests.benchmarks.video_search $(ARGS)

cards: install
	$(BIN)/python -m core.weights list
	$(BIN)/python -m core.weights verify

clean:
	rm -rf $(VENV) .gradio output tests/screenshots

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# torch comes first, so that no other package pulls in a larger build of it.
$(VENV)/installed: requirements.txt constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) torch
	$(PIP_INSTALL) -r requirements.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed | $(VENV)/bin/python
	$(PIP_INSTALL) -r requirements-dev.txt
	touch $@

packages packages-test:
	@list=packages.txt; [ "$@" = packages ] || list=tests/packages.txt; missing=""; \
	for name in $$(grep -v '^#' $$list); do \
		dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$name"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $$missing; \
	else echo "System packages are missing; please run once: sudo apt-get install$$missing"; fi
