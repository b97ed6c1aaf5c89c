# One verb per habit. Bare `make` lists them; `make run` and `make test` do all set-up by themselves.
#
# Needs Python 3.11 or newer, git and make. Everything else goes into .venv, at the versions and
# hashes in requirements/*.txt. PYTHON=… chooses the interpreter, ARGS=… is passed on.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PORT ?=

# No prompt, no pager, no colour codes guessed from a terminal that may not be there.
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
PIP := $(BIN)/python -m pip --quiet
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes

##@ Use
.PHONY: help
help: ## list the verbs (this)
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nFor example: make run PORT=9000, make test ARGS="tests/core -x"\n'

.PHONY: run
run: $(VENV)/.installed-run ## serve on http://127.0.0.1:8080 (PORT=, ARGS=); a simulated model when there is no key
	@exec $(BIN)/roomcast serve $(if $(PORT),--port $(PORT)) $(ARGS)

##@ Work on it
.PHONY: setup
setup: $(VENV)/.installed-dev ## make .venv with everything for development
	@echo 'ready: $(BIN)'

.PHONY: test
test: $(VENV)/.installed-dev browser curl compiler ## run the tests (ARGS= goes to pytest)
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: $(VENV)/.installed-dev ## format, lint, types, layers; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

.PHONY: fix
fix: $(VENV)/.installed-dev ## format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: conformance
conformance: $(VENV)/.installed-dev ## run what every adapter must pass, then Autobahn on the wire (needs a Python 2.7; PYTHON27=)
	@$(BIN)/python -m pytest -q tests/conformance
	@$(BIN)/python -m tests.conformance.autobahn $(ARGS)

.PHONY: planted
planted: $(VENV)/.installed-dev ## plant known faults in a copy of the source; the tests named for each must fail
	@$(BIN)/python -m tests.planted $(ARGS)

.PHONY: bench
bench: $(VENV)/.installed-dev ## measure; compare with the baseline in the repository
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: soak
soak: $(VENV)/.installed-dev ## rooms, churn and faults for MINUTES= from a seed, with the auditor on; what the server holds
	@$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: lock
lock: $(VENV)/.installed-dev ## choose versions anew and write requirements/*.txt (needs the network)
	$(COMPILE) --upgrade pyproject.toml requirements/build.in -o requirements/run.txt
	$(COMPILE) --upgrade pyproject.toml requirements/build.in requirements/dev.in -c requirements/run.txt -o requirements/dev.txt

.PHONY: clean
clean: ## remove .venv, caches and build output; never data
	rm -rf $(VENV) build dist server/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
	  .hypothesis .coverage .coverage.* htmlcov .autobahn
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up, quick the second time: a stamp is renewed when what it was made from changes ------------------------------

$(VENV)/.installed-run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo 'installing what running needs (once; later starts are immediate)'
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo 'installing what development needs (once; later runs are immediate)'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.installed-run $@

# Asking each candidate to run is what tells a real interpreter from a launcher for a version that is not installed.
$(VENV)/bin/python:
	@set -eu; \
	found=; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "roomcast needs Python 3.11 or newer; $$(python3 --version 2>&1 || true) is what python3 is here." >&2; \
	  echo 'Install one (on Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 ...' >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  package=$$("$$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "this Python cannot make virtual environments yet; installing $$package"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$package"; } </dev/null >/dev/null \
	      || { echo "$$package could not be installed; install it by hand and run make again" >&2; exit 1; }; \
	  else \
	    echo "$$found has no venv module. Install it and run make again: sudo apt-get install $$package" >&2; \
	    exit 1; \
	  fi; \
	fi; \
	echo "making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV)

# The tests of the page drive a real browser. Without one they are skipped, and this says so first.
.PHONY: browser
browser:
	@if command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
	  || command -v google-chrome >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo 'installing Chromium for the tests of the page'; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } </dev/null >/dev/null \
	    || echo 'NOTE: Chromium could not be installed, so the tests marked "browser" will be skipped.'; \
	else \
	  echo 'NOTE: no Chromium found, so the tests marked "browser" will be skipped.'; \
	  echo '      To run them: sudo apt-get install chromium (or your system'\''s way), then make test again.'; \
	fi

# Disks that fail and clocks that jump stand between the server and the C library, so they are written in C.
.PHONY: compiler
compiler:
	@if command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo 'installing a C compiler for the tests of disk faults, clock jumps and benchmarks'; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev; } </dev/null >/dev/null \
	    || echo 'NOTE: no C compiler could be installed, so the tests of disk faults, clock jumps and benchmarks will be skipped.'; \
	else \
	  echo 'NOTE: no C compiler found, so the tests of disk faults, clock jumps and benchmarks will be skipped.'; \
	  echo '      To run them: sudo apt-get install gcc libc6-dev (or your system'\''s way), then make test again.'; \
	fi

# One example is written for curl.
.PHONY: curl
curl:
	@if command -v curl >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo 'installing curl for the test of its example'; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl; } </dev/null >/dev/null \
	    || echo 'NOTE: curl could not be installed, so the test of its example will be skipped.'; \
	else \
	  echo 'NOTE: no curl found, so the test of its example will be skipped.'; \
	fi
