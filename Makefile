# make demo   installs into .venv, renders a small world, trains on it and writes runs/demo/report.html
# make test   installs the development tools too and runs the tests
# make lint   ruff and mypy         make docs   the site, into site/         make clean   removes what make made
#
# PYTHON=python3.12 chooses the interpreter; ARGS="-k siglip" is handed on to pytest, ARGS="--size tiny" to the demo.

VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
OURS := import pip, sys; sys.exit(sys.prefix == sys.base_prefix)
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c "$(NEW_ENOUGH)" 2>/dev/null && $$p -c "import venv, ensurepip" 2>/dev/null && echo $$p && break; done)

.DELETE_ON_ERROR:
.PHONY: demo test lint docs clean install install-dev

demo: install
	@$(BIN)/dovetail demo --out runs/demo $(ARGS)

test: install-dev
	@$(BIN)/python -m pytest -n logical --maxprocesses 8 $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install-dev
	$(BIN)/dovetail docs
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) site dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# The stamps make the second call start at once; a change of pyproject.toml installs what it adds.
$(VENV)/.installed: pyproject.toml
	@$(BIN)/python -c "$(OURS)" 2>/dev/null || $(MAKE) --no-print-directory environment
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: environment
environment:
	@test -n "$(PYTHON)" || { \
	  for p in $(CANDIDATES); do $$p -c "$(NEW_ENOUGH)" 2>/dev/null && new=$$p && break; done; \
	  if test -n "$$new"; then \
	    echo "$$new lacks the modules venv and ensurepip. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; \
	  else \
	    echo "Dovetail needs Python 3.11 or newer; found: $$(python3 --version 2>/dev/null || echo none)." \
	      "Install one and say which: make demo PYTHON=python3.12" >&2; \
	  fi; exit 1; }
	@$(PYTHON) -c "$(NEW_ENOUGH)" || { echo "PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>&1); Dovetail needs Python 3.11 or newer." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
