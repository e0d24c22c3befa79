# The workbook's two commands:   make lab    and    make test
# Both set up .venv first; a second run re-installs nothing. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Any Python >= 3.11; PYTHON=/path/to/python overrides.
PYTHON ?=
ARGS ?=
# Processes that run tests side by side; auto is one for each core. Each computes with one thread.
JOBS ?= auto
# JupyterLab refuses to start for root, which is who one is in most containers; it listens on loopback, with its token.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

BIN := .venv/bin
SETUP := .venv/.set-up
TRUSTED := .venv/.trusted
BENCH := bench/.venv
NBGRADER := tests/nbgrader/.venv
WEBSITE := website/.venv
# JupyterLab reads this folder. Its news are switched off: they call home, and the workbook works offline.
LABCONFIG := .venv/etc/jupyter/labconfig
NOTEBOOKS := $(sort $(wildcard lessons/*.ipynb lessons/solutions/*.ipynb))
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/lessons/sanitize.cfg --nbval-cell-timeout 120

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_USER := 0

.PHONY: help setup lab test lint unit notebooks browser-test nbgrader site lessons checkpoints bench doctor lock clean claims

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

lab: $(SETUP) $(TRUSTED)  ## open JupyterLab at lesson 00; ARGS="--no-browser --port 9999" passes options on
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter-lab --ip=127.0.0.1 --LabApp.default_url=/lab/tree/lessons/00_start_here.ipynb $(AS_ROOT) $(ARGS)

test: lint unit notebooks  ## everything but the browser tests: lint, unit tests, the notebooks

lint: $(SETUP)  ## ruff, lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(SETUP)  ## unit tests, on every core; JOBS=1 runs them one after the other
	@echo "Unit tests: about ten minutes on two cores."
	$(SIDE_BY_SIDE) --dist worksteal -m "not browser" $(ARGS)

notebooks: $(SETUP)  ## nbval: run every notebook and compare its outputs with the stored ones
	@test -n "$(NOTEBOOKS)" || { echo "make notebooks: no notebook in lessons/; run: make lessons" >&2; exit 1; }
	@echo "Notebooks, open and solved: about ten minutes on two cores."
	$(SIDE_BY_SIDE) --dist loadfile $(NBVAL) $(NOTEBOOKS)

browser-test: $(SETUP) $(WEBSITE)/.set-up  ## drive the sliders and the site in Chromium (.ci/run installs Chromium)
	$(BIN)/python -m pytest tests/browser -m browser

nbgrader: $(NBGRADER)/.set-up  ## run nbgrader itself on lesson 00: generate, autograde, export
	$(BIN)/python -m pytest tests/nbgrader

site: $(SETUP) $(WEBSITE)/.set-up  ## the lessons as static pages in build/site; ARGS="--out DIR --solutions" passes options on
	$(BIN)/python -m website.build $(ARGS)

lessons: $(SETUP)  ## build the notebooks from lessons/source
	$(BIN)/cs329t lessons

checkpoints: $(SETUP)  ## train again the models that data/checkpoints ships, and measure them (about two hours)
	@for method in standard gaussian fgsm fast masked pgd trades pgd_l2; do \
		$(BIN)/cs329t train mnist --method $$method --measure 500 --out data/checkpoints/mnist_$$method.safetensors; \
	done
	$(BIN)/cs329t train signs --out data/checkpoints/signs.safetensors
	$(BIN)/cs329t train dense --out data/checkpoints/dense_standard.safetensors
	$(BIN)/cs329t train dense --method interval --out data/checkpoints/dense_interval.safetensors

claims: $(SETUP)  ## run every claim of the ledger again, and write docs/claims.md (minutes)
	$(BIN)/cs329t claims --write

bench: $(BENCH)/.set-up  ## time our attacks beside three other libraries'; ARGS="--n 64 --attacks pgd" passes options on
	$(BENCH)/bin/python -m bench.run $(ARGS)

doctor: $(SETUP)  ## check this machine's set-up
	$(BIN)/cs329t doctor

# Needs uv (https://docs.astral.sh/uv/). Add --upgrade to move every version; without it only what pyproject.toml demands.
lock:  ## write requirements.lock again after a change of pyproject.toml
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock $(ARGS)

clean:  ## remove .venv and caches; lessons, data and answers stay
	rm -rf .venv $(BENCH) $(NBGRADER) $(WEBSITE) .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(SETUP)  ## create .venv and install the locked packages

# The stamp is written last, so an interrupted set-up is taken up again.
$(SETUP): requirements.lock pyproject.toml
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
			if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$name; break; fi; \
		done; \
	fi; \
	if [ -z "$$python" ]; then \
		echo "make: no Python >= 3.11 found as python3, python3.14 … python3.11 or python." >&2; \
		echo "      Install one from https://www.python.org, or name it: make lab PYTHON=/path/to/python" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "make: PYTHON=$$python is not a Python >= 3.11" >&2; exit 1; \
	fi; \
	rm -f $(SETUP); \
	if ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
		echo "Setting up .venv with $$("$$python" --version) (about 3 minutes and 6 GB, once)"; \
		if ! "$$python" -m venv --clear .venv; then \
			echo "make: $$python cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv" >&2; \
			exit 1; \
		fi; \
	fi
	$(BIN)/python -m pip install --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m ipykernel install --sys-prefix --name cs329t-robust --display-name "CS 329T Robustness" >/dev/null
	@mkdir -p $(LABCONFIG)
	@echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' > $(LABCONFIG)/page_config.json
	@touch $(SETUP)

# Trusted notebooks show their stored sliders at once, before any cell is run.
$(TRUSTED): $(SETUP) $(NOTEBOOKS)
	@test -z "$(NOTEBOOKS)" || $(BIN)/jupyter-trust $(NOTEBOOKS) >/dev/null
	@touch $(TRUSTED)

# The peers' pins conflict with ours, and nbgrader's packages and the site's MathJax are no student's, so these get
# environments of their own; torch and our packages are shared.
%/.venv/.set-up: %/requirements.lock $(SETUP)
	@rm -f $@
	$(BIN)/python -m venv --clear $*/.venv
	$*/.venv/bin/python -m pip install --quiet --no-deps --require-hashes -r $<
	@$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		> "$$($*/.venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/shared.pth"
	@touch $@
