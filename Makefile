# weir - aliases over meson; `make help` lists them. All build logic is in meson.build.

BUILD ?= build
MESON = meson setup --wrap-mode=nodownload
PYTHON = /usr/bin/python3
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get
HAVE = dpkg-checkbuilddeps

.PHONY: all deps deps-dev need need-dev run check check-fast asan tsan fuzz bench lab lint fmt \
        manual install clean help

all: $(BUILD)/build.ninja ## build build/weir
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run make deps"; exit 1; }
	$(MESON) $(BUILD)

deps: ## install what building needs (debian/control)
	$(APT) update -q
	$(APT) build-dep -y --no-install-recommends -P nocheck ./

deps-dev: ## install what building and testing need
	$(APT) update -q
	$(APT) build-dep -y --no-install-recommends ./

need:
	@$(HAVE) -P nocheck debian/control >/dev/null 2>&1 || $(MAKE) deps

need-dev:
	@$(HAVE) debian/control >/dev/null 2>&1 || $(MAKE) deps-dev

run: need all ## build, then serve the welcome page and the handbook on http://127.0.0.1:8080
	@echo "weir serves the welcome page on http://127.0.0.1:8080 - Ctrl-C ends it"
	$(BUILD)/weir -p $(abspath $(BUILD)) -c $(CURDIR)/conf/examples/handbook.conf \
	    -g "user $$(id -un);"

check: need-dev all ## everything that can fail: unit, corpus, io, sim, story, lint
	$(PYTHON) tools/check.py $(BUILD)

check-fast: need-dev all ## the same without the stories
	$(PYTHON) tools/check.py $(BUILD) --no-story

asan: need-dev ## the tests under AddressSanitizer and UBSan
	[ -e build-asan/build.ninja ] || $(MESON) build-asan -Db_sanitize=address,undefined -Db_lto=false
	ninja -C build-asan
	$(PYTHON) tools/check.py build-asan --no-lint

tsan: need-dev ## the tests under ThreadSanitizer
	[ -e build-tsan/build.ninja ] || $(MESON) build-tsan -Db_sanitize=thread -Db_lto=false
	ninja -C build-tsan
	$(PYTHON) tools/check.py build-tsan --no-lint

fuzz: need-dev ## each fuzz target for SECONDS (60)
	[ -e build-fuzz/build.ninja ] || CC=clang-14 $(MESON) build-fuzz -Dfuzzers=true -Db_lto=false \
	    -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C build-fuzz
	$(PYTHON) tools/fuzz.py build-fuzz $${SECONDS_EACH:-60}

bench: need-dev all ## server CPU per request beside nginx, h2o and two bare loops
	command -v nginx >/dev/null || $(APT) install -y -q --no-install-recommends nginx-light
	command -v h2o >/dev/null || $(APT) install -y -q --no-install-recommends h2o
	$(PYTHON) tests/bench/side_by_side.py --weir $(BUILD)/weir
	$(PYTHON) tests/bench/proxy.py --weir $(BUILD)/weir
	$(PYTHON) tests/bench/tls.py --weir $(BUILD)/weir

lab: need-dev all ## the experiments (PLAN=name for one): lab/results/report.html
	command -v nginx >/dev/null || $(APT) install -y -q --no-install-recommends nginx-light
	WEIR=$(BUILD)/weir WEIR_LAB_PROGRAMS=$(BUILD)/lab $(PYTHON) lab run $(PLAN) --results lab/results

lint: need-dev all ## the house rules
	meson test -C $(BUILD) --suite lint --print-errorlogs

fmt: ## format the sources
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

manual: all ## write docs/manual from the registry
	$(BUILD)/weir help --manual docs/manual

install: all ## install below the prefix meson was given
	meson install -C $(BUILD)

clean: ## remove the build directories
	rm -rf build build-asan build-tsan build-fuzz

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
