# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
RUN := .venv
DEV := .venv-dev
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
WORKERS ?= 2
PAGES := pipeline/bundled/pages/index.html
WEB := edge/phone
NODE := $(WEB)/node_modules/.done

.PHONY: demo test coverage lint bench kafka web deploy-test pages-if-possible wheel clean help
help:          ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(RUN)/.done $(if $(findstring --web,$(ARGS)),$(PAGES)) ## identify a simulated phone recording; ARGS=--web for a phone of your own
	$(RUN)/bin/vnome demo $(ARGS)

test: $(DEV)/.done pages-if-possible ## run every test this machine can run; make test ARGS="-m redis" passes arguments
	$(DEV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

coverage: $(DEV)/.done pages-if-possible ## the same one after the other, and which lines of pipeline/ they reach
	$(DEV)/bin/python -m pytest --cov=pipeline --cov-report=term $(ARGS)

lint: $(DEV)/.done      ## ruff and mypy
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NODE) && cd $(WEB) && npm run --silent check; fi

bench: bench-index-film bench-camera bench-scanning bench-stream bench-index bench-gateway ## all benchmarks

bench-%: $(DEV)/.done   ## one benchmark, tests/benchmarks/bench_NAME.py
	$(DEV)/bin/python -m tests.benchmarks.bench_$(subst -,_,$*) $(ARGS)

kafka: $(DEV)/.done     ## Apache Kafka on 127.0.0.1:9092, until Ctrl-C; make kafka ARGS="--port 9093"
	$(DEV)/bin/python -m tests.kafka_broker $(ARGS)

deploy-test:            ## images and compose stack proved here: built, started, crashed, upgraded; minutes
	deploy/test $(ARGS)

pages-if-possible:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(PAGES); else echo "no npm: tests of the pages are skipped"; fi

web: $(PAGES)           ## build the pages of phone and studio into the package (Node.js 18 or later)

$(NODE): $(WEB)/package.json $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo "the pages need Node.js 18 or later with npm; install it (apt-get install npm)"; exit 1; }
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(PAGES): $(NODE) $(shell find $(WEB) -name node_modules -prune -o -type f -print)
	cd $(WEB) && npm run --silent build -- --logLevel warn
	touch $@

wheel: $(DEV)/.done $(PAGES) ## build the wheel into dist/
	$(DEV)/bin/python -m build --quiet --wheel

$(RUN)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(RUN)
	$(RUN)/bin/python -m pip install $(PIP_FLAGS) -e .
	touch $@

$(DEV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install $(PIP_FLAGS) -e ".[train,dev]"
	touch $@

clean:
	rm -rf $(RUN) $(DEV) pipeline/bundled/pages $(WEB)/node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage vnome-demo
