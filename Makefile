# Verbs of the project; `make` alone lists them. Everything runs in .venv, which `make` builds from pyproject.toml and
# constraints.txt. Nothing outside this directory is written, except Debian's packages when you are root.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup packages page demo test check lint types contracts generated unit format gen golden pictures bench soak faults truth sbom lock up image hardware wheels clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,kubernetes,report]'
	touch $@

packages: ## install Debian's packages that the tests need (only as root; else says what is missing)
	@tools/packages.sh

page: $(STAMP) ## build the page that draws dashboards (node modules go to build/, half a gigabyte)
	@$(BIN)/python -m dashboards.render.site

setup: packages ## build the virtual environment
	@$(MAKE) --no-print-directory $(STAMP)

demo: ## a simulated node: a breach is seen and explained in this terminal; no GPU, no cluster, no server
	@tools/packages.sh --venv-only
	@$(MAKE) --no-print-directory $(STAMP)
	@$(BIN)/slicewatch demo $(DEMO_FLAGS)

test: setup page check unit ## everything that CI runs: lint, types, contracts, generated files, all tests

check: lint types contracts generated ## everything that needs no test run

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict; the tests, benches and tools too
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases dashboards tests tools bench

contracts: $(STAMP) ## imports go one way
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

generated: $(STAMP) ## generated files are fresh
	$(BIN)/python -m tools.generate --check

gen: $(STAMP) ## write the generated files
	$(BIN)/python -m tools.generate

unit: $(STAMP) ## all tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

golden: $(STAMP) ## rewrite the golden pages and screens; then read the diff
	GOLDEN=write $(BIN)/pytest tests/scenarios tests/why tests/hardware/test_captures.py -q

pictures: setup page ## draw the pictures of the documents anew; then look at them
	$(BIN)/python -m tools.pictures

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure: tick, page, scrape, memory, beside nvitop-exporter on the same fake driver
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m bench $(BENCH_FLAGS)

sbom: $(STAMP) ## write the bills of materials (CycloneDX) of what is shipped
	$(BIN)/python -m tools.supply.sbom

lock: $(STAMP) ## write requirements/: what is shipped, with the hash of every file; needs the package index
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	for set in exporter:kubernetes slo:slo; do \
	  $(BIN)/uv pip compile pyproject.toml --extra $${set#*:} --constraint constraints.txt --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --quiet --output-file requirements/$${set%:*}.txt; done

soak: $(STAMP) ## an hour of churn and faults: memory, descriptors, threads and series, sampled and judged
	$(BIN)/python -m bench.soak $(SOAK_FLAGS)

faults: $(STAMP) ## every fault at full size, and how long recovery takes, into docs/figures; then the page
	@rm -rf build/faults && mkdir -p build/faults
	FAULTS=full FAULTS_MEASURED=build/faults $(BIN)/pytest tests/faults --timeout 900
	$(BIN)/python -m tools.reliability build/faults
	$(BIN)/python -m tools.generate

up: $(STAMP) ## exporter, Prometheus and Alertmanager on loopback, to be looked at; Ctrl-C ends them
	$(BIN)/python -m tools.up $(UP_FLAGS)

image: $(STAMP) ## build both container images with buildah, run and measure them; IMAGE_FLAGS=--stand-in where no registry is reached
	$(BIN)/python -m tools.image $(IMAGE_FLAGS)

truth: $(STAMP) ## measure the judge against simulated truth
	$(BIN)/python -m bench.truth $(TRUTH_FLAGS)
	$(BIN)/python -m bench.verdicts $(TRUTH_FLAGS)

hardware: $(if $(WHEELS),build/hardware-site,$(STAMP)) ## measure this machine's NVIDIA GPU, and the judge on it; changes no setting (docs/hardware.md)
	$(if $(WHEELS),PYTHONPATH=build/hardware-site $(PYTHON),$(BIN)/python) -m bench.hardware $(HARDWARE_FLAGS)

build/hardware-site: $(WHEELS)
	$(PYTHON) -m pip install --quiet --no-index --find-links $(WHEELS) --no-warn-conflicts --root-user-action ignore --upgrade --target $@ $$($(PYTHON) -m bench.hardware.needs)
	touch $@

wheels: ## fetch what `make hardware` takes to a machine without a network; FOR=3.12 for another Python there
	$(PYTHON) -m pip download --quiet --only-binary :all: $(if $(FOR),--python-version $(FOR)) \
		--constraint constraints.txt --dest build/wheels $$($(PYTHON) -m bench.hardware.needs)

clean: ## remove what make built
	rm -rf $(VENV) build dist
