PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test check bench format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    a lab of simulated servers, the broker, and one game started and ended"
	@echo "make test    the whole test suite"
	@echo "make check   style, types, layers and the tests"
	@echo "make bench   what calls cost beside the alternatives; BENCH='round-trip --rounds 30' for some"
	@echo "make format  let ruff rewrite what it can"
	@echo "make clean   remove what the others made"

$(VENV)/made: scripts/setup/venv.sh
	@sh scripts/setup/venv.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/installed: $(VENV)/made setup.cfg pyproject.toml
	@echo "installing the broker"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "installing what the tests and checks need"
	@sh scripts/setup/test-packages.sh $(PYTHON)
	@$(PIP) install --editable '.[test,check]'
	@if command -v krb5-config >/dev/null 2>&1; then $(PIP) install --editable '.[kerberos,testkerberos]'; \
	else echo "not installed, tests that need it are skipped: Kerberos bindings (krb5-config is missing)"; fi
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/orchestrator demo $(if $(filter 1,$(DEMO_ONCE)),--once)

test: $(VENV)/installed-dev
	@sh scripts/setup/test-packages.sh $(PYTHON)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory test

bench: $(VENV)/installed-dev
	@$(BIN)/python -m bench $(BENCH)

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
