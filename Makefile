# Two commands: `make run` sets up and starts the guard, `make test` sets up and checks everything.
# Both are all that a fresh machine with Python 3.11 and git needs; see README for Windows.

VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .clients
PORT := 4141
WORKERS := 3

.PHONY: run test screenshots clean

run: $(VENV)/.installed-run
	$(BIN)/localguard serve --port $(PORT)

test: $(VENV)/.installed-test $(CLIENTS)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	sh packaging/debian.sh
	$(BIN)/pytest tests/test_docs.py
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

screenshots: $(VENV)/.installed-test
	$(BIN)/python -m tests.tui.screenshots packaging/screenshots
	$(BIN)/python -m tests.report.screenshots packaging/screenshots

$(VENV)/.installed-run: pyproject.toml packaging/venv.sh
	sh packaging/venv.sh $(VENV) .
	@touch $@

$(VENV)/.installed-test: pyproject.toml packaging/venv.sh
	sh packaging/venv.sh $(VENV) '.[test]'
	@touch $@ $(VENV)/.installed-run

$(CLIENTS)/.installed: packaging/clients.sh
	sh packaging/clients.sh $(CLIENTS)

clean:
	rm -rf $(VENV) $(CLIENTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
