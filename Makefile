# Two commands matter: `make demo` and `make test`. Both install what they need into .venv first, which takes a
# moment once and nothing when it is already there.

PYTHON ?= python3
QUIET := --quiet --disable-pip-version-check
# Without the warning that setuptools gives at each editable installation.
PIP_INSTALL := PYTHONWARNINGS=ignore .venv/bin/python -m pip install $(QUIET)
# What `make bench` measures: the compiled engine where `make compiled` has built it.
MEASURED = $(firstword $(wildcard .venv-compiled/bin/python) .venv/bin/python)
PYTEST_ARGS ?= -n auto
# What is compiled at the installation, where there is a compiler.
NATIVE = $(wildcard engine/live/relay/native/*.[ch])

.DEFAULT_GOAL := help
.PHONY: help demo test notebooks lint format bench compiled bench-peers peers clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.run-installed ## Simulate the seed topology: ten calls a second, a node dies and returns
	.venv/bin/siptwin simulate seed

test: .venv/.test-installed peers ## Run the tests
	.venv/bin/pytest $(PYTEST_ARGS)

notebooks: .venv/.test-installed ## Run the notebooks' texts, and keep what they show (minutes)
	.venv/bin/python -m notebooks

lint: .venv/.test-installed ## Check style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: .venv/.test-installed ## Put sources into the house style
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

bench: .venv/.run-installed bench-peers ## Measure siptwin beside Kamailio (minutes; see benchmarks/README.md)
	.venv/bin/python -m benchmarks.signalling --highest --memory --python $(MEASURED)
	.venv/bin/python -m benchmarks.node_death --python $(MEASURED)
	.venv/bin/python -m benchmarks.simulation --python $(MEASURED)
	.venv/bin/python -m benchmarks.relay --calls 250,500
	.venv/bin/python -m benchmarks.relay_handshakes

# The compiled engine has a .venv of its own: an editable installation would keep running the plain sources.
compiled: .venv-compiled/.installed ## Compile the engine with mypyc into .venv-compiled (takes gcc, Python's headers)

.venv-compiled/.installed: pyproject.toml setup.py $(NATIVE) $(shell find engine topologies sim lab -name '*.py')
	$(PYTHON) -m venv .venv-compiled
	.venv-compiled/bin/python -m pip install $(QUIET) 'setuptools>=77' mypy types-PyYAML
	rm -rf build
	SIPTWIN_COMPILE=1 .venv-compiled/bin/python -m pip install $(QUIET) --no-build-isolation '.[fast,parquet,transcode]'
	@touch $@

# A stamp says that an installation ended well; a new pyproject.toml, or other sources in C, make it stale.
.venv/.made:
	@echo 'making .venv'
	@$(PYTHON) -m venv .venv || { echo 'no venv: install it first (Debian: apt-get install python3-venv)' >&2; exit 1; }
	@$(PIP_INSTALL) --upgrade 'pip>=24'
	@touch $@

.venv/.run-installed: pyproject.toml setup.py $(NATIVE) .venv/.made
	@echo 'installing siptwin into .venv (a minute or two, once)'
	@$(PIP_INSTALL) --editable '.[fast,parquet,transcode]'
	@touch $@

.venv/.test-installed: pyproject.toml setup.py $(NATIVE) .venv/.made
	@echo 'installing siptwin and what its tests need into .venv (minutes, once)'
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $@ .venv/.run-installed

# Debian packages that some tests or benchmarks talk to: $(call debian,COMMAND,PACKAGE,WHAT IS MISSED)
define debian
@if command -v $(1) >/dev/null; then :; \
elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo 'installing $(2)'; \
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); } \
    >/dev/null || echo 'could not install $(2): $(3)' >&2; \
else echo '$(1) not found and not root: $(3) (Debian: apt-get install $(2))' >&2; fi
endef

# Packages of npm that some tests drive a browser with: kept outside the repository, once for all clones.
PEERS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/siptwin/peers
NPM_PEERS := jssip@3.13.8 sip.js@0.21.2 playwright-core@1.65.1 esbuild@0.28.2

# OpenSIPS' own command line, in an environment of its own: nothing here imports it.
OPENSIPS_CLI := opensipscli==0.4.1

peers: $(PEERS)/sipjs.js $(PEERS)/opensips/bin/opensips-cli
	$(call debian,sipp,sip-tester,tests that need SIPp will be skipped)
	$(call debian,nft,nftables,tests against the kernel as a NAT will be skipped)
	$(call debian,ip,iproute2,tests against the kernel as a NAT will be skipped)
	$(call debian,sysctl,procps,tests against the kernel as a NAT will be skipped)
	$(call debian,mariadbd,mariadb-server,tests with MariaDB will be skipped)
	$(call debian,pg_ctlcluster,postgresql,tests with PostgreSQL will be skipped)
	$(call debian,baresip,baresip,tests with a real softphone will be skipped)
	$(call debian,chromium,chromium,tests with a real browser will be skipped)
	$(call debian,rtpengine,rtpengine-daemon,tests with a real rtpengine will be skipped)

$(PEERS)/sipjs.js:
	@if command -v npm >/dev/null; then mkdir -p $(@D) && cd $(@D) && echo 'installing $(NPM_PEERS)' \
	  && npm install --silent --no-audit --no-fund --no-save $(NPM_PEERS) >/dev/null 2>&1 \
	  && node_modules/.bin/esbuild node_modules/jssip/lib/JsSIP.js --bundle --format=iife --global-name=JsSIP \
	     --log-level=error --outfile=jssip.js \
	  && node_modules/.bin/esbuild node_modules/sip.js/lib/index.js --bundle --format=iife --global-name=SIP \
	     --log-level=error --outfile=$(@F) || echo 'no JsSIP, no SIP.js: tests with a real browser will be skipped' >&2; \
	else echo 'npm not found: tests with a real browser will be skipped (Debian: apt-get install npm)' >&2; fi

$(PEERS)/opensips/bin/opensips-cli:
	@echo 'installing $(OPENSIPS_CLI)'; $(PYTHON) -m venv $(PEERS)/opensips \
	  && $(PEERS)/opensips/bin/python -m pip install $(QUIET) $(OPENSIPS_CLI) \
	  || echo 'no opensips-cli: tests with it will be skipped' >&2

bench-peers: peers
	$(call debian,kamailio,kamailio,there is nothing to measure against)

clean: ## Remove .venv and everything generated
	rm -rf .venv .venv-compiled build dist results ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  engine/live/relay/_native*.so
