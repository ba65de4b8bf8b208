# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
RUN := .venv
DEV := .venv-dev
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=

.PHONY: demo test lint bench kafka wheel clean help
help:          ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(RUN)/.done      ## identify a simulated phone recording, with a picture to prove it
	$(RUN)/bin/vnome demo $(ARGS)

test: $(DEV)/.done      ## run every test this machine can run; make test ARGS="-m redis" passes arguments
	$(DEV)/bin/python -m pytest --cov=pipeline --cov-report=term $(ARGS)

lint: $(DEV)/.done      ## ruff and mypy
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

bench: bench-index-film bench-camera bench-stream bench-index ## all benchmarks

bench-%: $(DEV)/.done   ## one benchmark, tests/benchmarks/bench_NAME.py
	$(DEV)/bin/python -m tests.benchmarks.bench_$(subst -,_,$*) $(ARGS)

kafka: $(DEV)/.done     ## Apache Kafka on 127.0.0.1:9092, until Ctrl-C; make kafka ARGS="--port 9093"
	$(DEV)/bin/python -m tests.kafka_broker $(ARGS)

wheel: $(DEV)/.done     ## build the wheel into dist/
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
	rm -rf $(RUN) $(DEV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage vnome-demo
