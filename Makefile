# The commands of a working day; `make` lists them. Needed: Python 3.11 or later, git, make, a shell.

# The first Python here that is new enough and can make virtual environments; PYTHON=... overrides.
PYTHON ?= $(shell for one in python3.13 python3.12 python3.11 python3; do \
	"$$one" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$one" && break; done)
BIN := .venv/bin
# Processes that the tests run in: more than cores, as many tests wait for what they started; a few are
# sooner done by pytest itself.
WORKERS ?= $(if $(ARGS),0,$(shell expr $$(nproc) + 2))

.DEFAULT_GOAL := help
.PHONY: help setup test check format serve demo bench faults wheel clean

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: .venv/.dev ## Make .venv with everything for development, when pyproject.toml has changed

# Compiled modules are kept: the tests start hundreds of programs.
test: setup ## Run the tests; more precise: make test ARGS='tests/recipe -k yaml'
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: setup ## Run every check that is no test: lint, format, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup ## Mend what can be mended automatically
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

serve: .venv/.run ## Run a server over ciserver-data/ until Ctrl-C
	$(BIN)/ciserver serve $(ARGS)

demo: .venv/.run ## Push to a small repository and watch it being built; Ctrl-C ends it
	@$(BIN)/python demo/demo.py $(ARGS)

bench: setup ## Measure beside other systems (bench/README.md); a few minutes: make bench ARGS=--quick
	$(BIN)/python -m bench $(ARGS)

faults: setup ## Kill parts of an installation and cut them off (docs/reliability.md); ARGS=--quick
	PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)

wheel: setup ## Build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean: ## Remove what the other targets made, but for ciserver-data/
	rm -rf .venv dist demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache tests/intake/octokit/node_modules
	rm -rf tests/dialects/selfserve/node_buildapi/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What running needs, and what developing needs beside it. The files say when it was installed.
.venv/.run: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/.run

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 that can make a virtual environment was found."; \
		echo "Install one (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3"; \
		exit 1; } >&2
	$(PYTHON) -m venv .venv
