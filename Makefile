# Two commands: `make demo` sets everything up and runs the main job; `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VALIDATORS := .venv-validators
DEMO_ARGS ?=
# Processes that run the tests; 0 runs them in one that a debugger can hold.
WORKERS ?= 2

.PHONY: help install demo test validators test-postgres soak soak-crawl soak-catalog check bench bench-dream bench-quality bench-crawl bench-duplicates bench-catalog bench-similar figures docs constraints clean

help:
	@echo "make demo    set everything up and run the whole job on a bundled site of photographs"
	@echo "make test    run the tests (make test ARGS='-k ingest' for some)"
	@echo "make validators  what checks exports in a test, in an environment of its own; make test uses it when it is there"
	@echo "make test-postgres  those that use a catalog, all catalogs on a PostgreSQL server that they start"
	@echo "make soak    kills at random moments, hundreds of times: soak-crawl (crawls of a hostile site),"
	@echo "             soak-catalog (two processes that ingest, dream, merge, migrate and clear away at once)"
	@echo "make check   ruff, mypy and the import contracts"
	@echo "make bench   the benchmarks, each with a ratio against a named alternative:"
	@echo "             bench-dream (time and memory of the engine), bench-quality (what the looks make),"
	@echo "             bench-crawl (CPU time, bytes and requests of a crawl),"
	@echo "             bench-duplicates (which copies are found, what is taken for one, a million pictures),"
	@echo "             bench-catalog (views of a million pictures, the database's share of an ingest),"
	@echo "             bench-similar (whether like is found for like, time per picture and per query)"
	@echo "make figures the pictures of the README"
	@echo "make docs    docs/cli.md, from the commands' own help"

install: $(STAMP)

# Made again when what is to be installed changes; otherwise this costs nothing.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"dreamcrawl needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}; name another: make PYTHON=python3.12 ...")'
	@if command -v uv >/dev/null 2>&1; then \
	  echo "Installing into $(VENV) with uv"; \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	  echo "Installing into $(VENV) with pip: some minutes, 2.5 GB (uv, if installed, does it in a fraction)"; \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/dreamcrawl demo $(DEMO_ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

validators: $(VALIDATORS)/.installed

$(VALIDATORS)/.installed: tests/validators.txt
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VALIDATORS) && \
	  uv pip install --quiet --python $(VALIDATORS)/bin/python -r tests/validators.txt; \
	else \
	  $(PYTHON) -m venv $(VALIDATORS) && \
	  $(VALIDATORS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/validators.txt; \
	fi
	@touch $@

# Where the server's programs (15 or later) are missing, it says so; DREAMCRAWL_TEST_POSTGRES names a running server.
test-postgres: $(STAMP)
	@DREAMCRAWL_TEST_CATALOGS=postgresql $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# Some of the slow tests, many times over: minutes become an hour.
soak: soak-crawl soak-catalog

soak-crawl: $(STAMP)
	@DREAMCRAWL_KILLS=200 $(BIN)/python -m pytest tests/crawler/test_trap_site_killed.py $(ARGS)

soak-catalog: $(STAMP)
	@DREAMCRAWL_KILLS=300 $(BIN)/python -m pytest tests/pipeline/test_catalog_killed.py $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: bench-dream bench-quality bench-crawl bench-duplicates bench-catalog bench-similar

bench-dream: $(STAMP)
	@$(BIN)/python benchmarks/dream_engine.py --growth --large $(ARGS)

bench-quality: $(STAMP)
	@$(BIN)/python benchmarks/dream_quality.py $(ARGS)

bench-crawl: $(STAMP)
	@$(BIN)/python benchmarks/crawl_speed.py $(ARGS)

bench-duplicates: $(STAMP)
	@$(BIN)/python benchmarks/duplicates.py $(ARGS)

bench-catalog: $(STAMP)
	@$(BIN)/python benchmarks/catalog.py $(ARGS)

bench-similar: $(STAMP)
	@$(BIN)/python benchmarks/similar.py $(ARGS)

figures: $(STAMP)
	@$(BIN)/python tools/figures.py
	@$(BIN)/python tools/gallery_figure.py

docs: $(STAMP)
	@$(BIN)/python -m typer flows.cli utils docs --name dreamcrawl --title "Commands" --output docs/cli.md

# Every version pinned, without the address of any package index.
constraints:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url --quiet -o constraints.txt

clean:
	rm -rf $(VENV) $(VALIDATORS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
