# The front door. `make` alone lists every target.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.set-up
FRAMEWORKS := $(VENV)/.frameworks
BEAM_READY := $(VENV)/.beam
# PyTorch's CPU build is not in the package index: pip finds it where its configuration says (--find-links or another index)
TORCH := torch==2.13.0+cpu
RUN := $(VENV)/bin/python -m scripts
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade
# what the command line says of a variable that may well be in the environment for something else
given = $(if $(filter command,$(origin $1)),$($1))
# DVC runs a stage's `python`, which must be this environment's
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup new add remove build verify extract fetch mirror push pull s3 s3-stop remote test lint frameworks \
	beam benchmark lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the lock file (every other target does so by itself)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another with: make setup PYTHON=...")'
	@echo "setting up $(VENV) (3 GB, some minutes)"
	@# not the $(VENV) that may be active, and that goes now
	@base=$$($(PYTHON) -c 'import sys; print(sys._base_executable)') && rm -rf $(VENV) && $$base -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

new: $(READY) ## make a dataset that builds as it stands: NAME=my_dataset [KIND=standard|adversarial] [PARENT=mnist]
	@$(if $(call given,NAME),,$(error name it: make new NAME=my_dataset KIND=standard))
	@$(RUN) new '$(NAME)' $(if $(call given,KIND),--kind '$(KIND)') $(if $(call given,PARENT),--parent '$(PARENT)')

add: .dataset $(READY) ## register a dataset that TFDS has a builder for: DATASET=cifar10 [VERSION=3.0.2] [CONFIG=a,b]
	@$(RUN) add '$(DATASET)' $(if $(call given,VERSION),--version '$(VERSION)') $(if $(call given,CONFIG),--config '$(CONFIG)')

remove: .dataset $(READY) ## take a dataset out of this repository: DATASET=cifar10
	@$(RUN) remove '$(DATASET)'

build: .dataset $(READY) ## build datasets: DATASET=mnist or DATASET="mnist digit" [OVERWRITE=1] [REGISTER=1] [BEAM="--runner=..."]
	@$(if $(filter 1,$(call given,REGISTER)),$(RUN) register $(DATASET))
	@$(if $(call given,BEAM),DATASETS_BEAM='$(BEAM)' )$(RUN) repro $(DATASET) $(if $(filter 1,$(OVERWRITE)),--overwrite)

verify: $(if $(filter 1,$(call given,ALL)),,.dataset) $(READY) ## check an artifact against all records: DATASET=mnist or ALL=1 [REBUILD=1]
	@$(RUN) verify $(if $(filter 1,$(call given,ALL)),--all,$(DATASET)) $(if $(filter 1,$(REBUILD)),--rebuild)

extract: .dataset $(READY) ## unpack an artifact for TFDS: DATASET=mnist [TO=folder] [OVERWRITE=1]
	@$(RUN) extract $(DATASET) $(if $(TO),--to '$(TO)') $(if $(filter 1,$(OVERWRITE)),--overwrite)

fetch: .dataset $(READY) ## get a dataset's source files only, several at once, interrupted ones resumed: DATASET=mnist
	@$(RUN) fetch $(DATASET)

mirror: .dataset $(READY) ## keep a dataset's source files on its remote, for when upstream is gone: DATASET=mnist PUBLIC=1
	@$(RUN) mirror $(DATASET) $(if $(filter 1,$(call given,PUBLIC)),--public)

push: .dataset $(READY) ## push an artifact to its remote: DATASET=mnist PUBLIC=1
	@$(RUN) push $(DATASET) $(if $(and $(filter 1,$(PUBLIC)),$(filter command,$(origin PUBLIC))),--public)

pull: .dataset $(READY) ## pull an artifact from its remote: DATASET=mnist
	@$(RUN) pull $(DATASET)

s3: $(READY) ## start a real S3 server on this machine and point this clone at it: [DIR=folder]
	@$(RUN) s3 $(if $(DIR),--directory '$(DIR)')

s3-stop: $(READY) ## end that server: [DIR=folder]
	@$(RUN) s3 --stop $(if $(DIR),--directory '$(DIR)')

remote: $(READY) ## point the remotes at real buckets: PUBLIC=s3://... PRIVATE=s3://... [ENDPOINT=https://...]
	@$(if $(and $(PUBLIC),$(PRIVATE)),,$(error name both buckets: make remote PUBLIC=s3://... PRIVATE=s3://...))
	@$(RUN) remote --public '$(PUBLIC)' --private '$(PRIVATE)' $(if $(ENDPOINT),--endpoint '$(ENDPOINT)')

test: $(READY) ## run the everyday tests, or every one: [ALL=1]
	@$(VENV)/bin/python -m pytest -n 2 --dist worksteal $(if $(filter 1,$(ALL)),,-m 'not slow')

lint: $(READY) ## check style and types
	@ruff check .
	@ruff format --check .
	@mypy

frameworks: $(FRAMEWORKS) ## add PyTorch (CPU), JAX, Grain and the loaders to measure beside to .venv

$(FRAMEWORKS): requirements-frameworks.lock $(READY)
	@echo "adding the frameworks to $(VENV) (1.5 GB, a minute or two)"
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-frameworks.lock
	@touch $@

beam: $(BEAM_READY) ## add Apache Beam and Dask to .venv, for the datasets that are built with Beam

$(BEAM_READY): requirements-beam.lock $(READY)
	@echo "adding Apache Beam to $(VENV) (300 MB, half a minute)"
	@# no dependencies: the toolchain's protobuf and pyarrow stay, which are newer than Beam states
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-beam.lock
	@touch $@

benchmark: $(FRAMEWORKS) ## measure the loader and the build beside others
	@$(VENV)/bin/python benchmarks/reading.py
	@$(VENV)/bin/python benchmarks/building.py

lock: $(READY) ## resolve the dependencies of pyproject.toml anew into the three lock files
	@uv pip compile $(LOCKED) --extra dev pyproject.toml --output-file requirements.lock
	@pip download --quiet --no-deps --dest .scratch/torch '$(TORCH)'
	@echo '$(TORCH)' | uv pip compile $(LOCKED) --constraint requirements.lock --find-links .scratch/torch \
		--extra benchmark pyproject.toml - --output-file requirements-frameworks.lock
	@# what the other two pin wins over the bounds that Beam states (protobuf < 7): it decides bytes
	@uv pip compile $(LOCKED) --override requirements.lock --override requirements-frameworks.lock \
		--extra beam pyproject.toml --output-file requirements-beam.lock

.PHONY: .dataset
.dataset:
	@$(if $(DATASET),,$(error name a dataset: make $(firstword $(MAKECMDGOALS)) DATASET=mnist))
