# make demo [FILE=...]   make test   make help
# Everything happens in one virtual environment, $(VENV), made on first use.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python on the path that is new enough; or say make PYTHON=...
candidates := python3 python3.14 python3.13 python3.12 python3.11 python
new_enough := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(candidates); do \
  if "$$p" -c '$(new_enough)' 2>/dev/null; then echo "$$p"; break; fi; done)
VENV ?= .venv
FILE ?=
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 30
FUZZ_CASES ?=
SEED ?=
BENCH_OUT ?= build/benchmarks
PEER_TESTS_ARGS ?=

python := $(VENV)/bin/python
pip := $(python) -m pip --disable-pip-version-check
short := $(addprefix tests/,kernels sync test_public_api.py demo/test_demo.py \
  arrays/test_mapped.py images/test_image_cache.py basins/test_file_basin.py \
  engine/test_layouts.py engine/test_threads.py engine/test_interrupts.py \
  engine/test_virtual.py file/test_links.py measurement/test_hdf5_data.py \
  measurement/test_close.py measurement/test_pickle.py concat/test_concat_texts.py)
sources := $(wildcard dcread_ext/*.pyx dcread_ext/*.h dcread_ext/*.c) CMakeLists.txt pyproject.toml

.PHONY: demo test short-test lowest-test peer-tests lint types plugins docs bench bench-ci fuzz sanitize dist clean help

demo: $(VENV)/plot.stamp ## make a measurement (or take FILE=...), read it, draw a picture
	$(VENV)/bin/dcread demo $(if $(FILE),"$(FILE)")

test: $(VENV)/test.stamp ## run the whole suite
	$(python) -m pytest $(PYTEST_ARGS)

short-test: $(VENV)/plot.stamp ## the tests that tell most of a Python, about a minute
	$(pip) install --quiet --group test
	$(python) -m pytest -q -m "not slow" $(short)

lowest-test: $(VENV)/lowest.stamp ## the same with the lowest versions of what dcread needs
	$(python) -m pytest -q -m "not slow" $(short)

peer-tests: $(VENV)/test.stamp ## fetch dcnum's own tests and run them with dcread as its reader
	$(python) tests/peers/upstream/run.py $(VENV)/peer-tests $(PEER_TESTS_ARGS)

lint: $(VENV)/lint.stamp ## ruff, cython-lint, the rules of imports, zizmor, the wheels that would be built
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	PATH="$(abspath $(VENV)/bin):$$PATH" cython-lint dcread_ext  # it calls pycodestyle
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV)/bin/zizmor --offline --quiet .github
	$(VENV)/bin/cibuildwheel --print-build-identifiers --platform linux --archs x86_64 .

types: $(VENV)/lint.stamp ## mypy, strict; what it knows of our types; the README
	$(python) -m mypy
	$(python) -m mypy --strict tests/typing/access.py
	$(python) tests/typing/readme.py build/readme_blocks.py
	$(python) -m mypy --strict build/readme_blocks.py

plugins: $(VENV)/test.stamp ## install the packages in tests/plugins and run their tests
	rm -rf build/plugins && mkdir -p build && cp -r tests/plugins build/plugins
	$(pip) install --quiet build/plugins/dcread-*
	$(python) -m pytest -q tests/plugins
	$(pip) uninstall --quiet --yes dcread-npyfolder dcread-zarrstore

docs: $(VENV)/docs.stamp ## build the documentation anew, warnings are errors
	$(python) -m sphinx -E -W --keep-going -b html docs docs/_build/html
	$(python) docs/check_site.py docs/_build/html

bench: $(VENV)/bench.stamp ## measure against the peers and print the table of ratios
	$(python) -m benchmarks.report

fuzz: $(VENV)/test.stamp ## read random and damaged files, FUZZ_SECONDS for each kind
	$(python) -m tests.fuzz --seconds $(FUZZ_SECONDS) $(if $(SEED),--seed $(SEED)) \
	  $(if $(FUZZ_CASES),--cases $(FUZZ_CASES))

bench-ci: $(VENV)/bench.stamp ## counts held against what is stored, and each benchmark once
	@mkdir -p $(dir $(BENCH_OUT))
	$(python) -m benchmarks.counts --markdown $(BENCH_OUT).md
	DCREAD_BENCH_FRAMES=640 $(python) -m pytest benchmarks -q \
	  --benchmark-json=$(BENCH_OUT).json --benchmark-quiet
	$(python) -m benchmarks.ratios $(BENCH_OUT).json --markdown $(BENCH_OUT).md

sanitize: $(VENV)/test.stamp ## run the kernels under address and undefined-behaviour checks
	PYTHON="$(abspath $(python))" bash tests/kernels/sanitize.sh

dist: $(VENV)/venv.stamp ## build sdist and wheel into dist/
	$(pip) install --quiet build
	$(python) -m build --outdir dist .

clean: ## remove what make has made, the environment too
	rm -rf "$(VENV)" build dist demo-output fuzz-failures docs/_build docs/reference/generated \
	  docs/gallery docs/examples/{demo-output,moved,out,damaged.rtdc}
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

help: ## show this
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1|/' | column -t -s '|'

# One stamp a set of packages, so that a second call costs nothing.
$(VENV)/venv.stamp:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "dcread needs Python 3.11 or newer; say make PYTHON=/path/to/python" >&2; exit 1; fi
	"$(PYTHON)" -m venv "$(VENV)"
	$(pip) install --quiet --upgrade 'pip>=25.1'
	touch $@

# What a build tells line by line, of what pip tells of it; all of it is in a log.
steps := awk '/\[ *[0-9]+(%|\/[0-9]+)\]|^ *(Collecting|Building|Installing|Successfully)/ \
  { sub(/^ +/, ""); print "  " substr($$0, 1, 76); fflush() }'

$(VENV)/base.stamp: $(VENV)/venv.stamp $(sources)
	@echo "compiling dcread and installing what it needs: a minute or two, once"
	$(pip) install -v --editable . 2>&1 | tee $(VENV)/build.log | $(steps) || \
	  { tail -n 40 $(VENV)/build.log; echo "all of it is in $(VENV)/build.log"; exit 1; }
	touch $@

$(VENV)/plot.stamp: $(VENV)/base.stamp
	@echo "installing matplotlib, for the picture"
	$(pip) install --quiet 'matplotlib>=3.8'
	touch $@

# A server for tests, where it costs nothing and starts nothing: in containers.
nginx := if ! command -v nginx >/dev/null && command -v apt-get >/dev/null \
  && [ "$$(id -u)" = 0 ] && [ ! -d /run/systemd/system ]; then \
  { timeout 120 apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    timeout 120 apt-get install -y -qq --no-install-recommends nginx-light; } \
    >$(VENV)/nginx.log 2>&1 || echo "no nginx for the tests: see $(VENV)/nginx.log"; fi

$(VENV)/test.stamp: $(VENV)/plot.stamp
	$(pip) install --quiet --group test --group peers --group servers
	@$(nginx)
	touch $@

$(VENV)/bench.stamp: $(VENV)/test.stamp
	$(pip) install --quiet --group bench
	touch $@

# (in an environment of its own: make lowest-test VENV=...)
$(VENV)/lowest.stamp: $(VENV)/venv.stamp $(sources)
	$(python) .ci/lowest.py > $(VENV)/lowest.txt
	$(pip) install --quiet --constraint $(VENV)/lowest.txt --editable . 'pytest>=8' \
	  'hypothesis>=6.100'
	touch $@

$(VENV)/%.stamp: $(VENV)/plot.stamp
	$(pip) install --quiet --group $*
	touch $@
