# planwarm: `make help` lists the targets.

GO       ?= go
BIN      := bin
TOOLS    := $(CURDIR)/$(BIN)/tools
PKGS     := ./...
# The tags of the tests that need more than Go; lint looks at those too.
TAGS     := ceph,demo,routers,corpora
TESTFLAGS ?=
FUZZTIME ?= 5s
STATICCHECK_VERSION := v0.8.2
DEPGUARD_VERSION    := v2.2.1

.DEFAULT_GOAL := help
.PHONY: help build test-routers demo demo-check test race fuzz lint bench generate check ceph clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## build bin/planwarm
	$(GO) build -trimpath -o $(BIN)/planwarm ./cmd/planwarm

demo: build ## run the whole job once and show it (under a minute)
	$(BIN)/planwarm demo

test: ## run every test that needs nothing but Go
	$(GO) test -timeout 20m $(TESTFLAGS) $(PKGS)

race: ## run the tests of planwarm's own packages under the race detector
	$(GO) test -race -timeout 30m $(PKGS)

fuzz: ## fuzz each decoder for FUZZTIME (default 5s)
	@bash .ci/fuzz $(FUZZTIME)

demo-check: ## run the demo five times and check its bounds
	$(GO) test -tags demo -run '^TestDemo' -count 1 -timeout 15m -v ./cmd/planwarm

ROUTERS := $(CURDIR)/.cache/routers
# Grafbase is on npm as a binary for one platform; its test is built there alone.
ROUTER_PACKAGES := apollo-gateway hive-gateway $(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),grafbase)

test-routers: build ## test on real gateways from npm (needs node 20 and npm)
	@set -e; for p in $(ROUTER_PACKAGES); do \
	  mkdir -p $(ROUTERS)/$$p; cp -R deploy/$$p/. $(ROUTERS)/$$p/; cd $(ROUTERS)/$$p; \
	  cmp -s package-lock.json .installed || { npm ci --ignore-scripts; cp package-lock.json .installed; }; \
	  npm test; cd $(CURDIR); \
	done
	ROUTERS_DIR=$(ROUTERS) PLANWARM_BINARY=$(CURDIR)/$(BIN)/planwarm $(GO) test -tags routers -count 1 -timeout 15m -v ./deploy/...

lint: $(TOOLS)/staticcheck $(TOOLS)/depguard ## gofmt, vet, staticcheck, import directions
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "not gofmt'd"; exit 1; }
	$(GO) vet -tags $(TAGS) $(PKGS)
	$(TOOLS)/staticcheck -tags $(TAGS) $(PKGS)
	$(TOOLS)/depguard $(PKGS)

bench: ## run the benchmarks; docs/benchmarks.md says what was seen
	$(GO) test -run '^$$' -bench . -benchmem $(PKGS)

generate: ## write generated files again
	$(GO) generate $(PKGS)

check: lint test ## what to run before a commit

ceph: ## run the bucket suite on a one-node Ceph started for it (Debian packages)
	bash .ci/ceph

clean: ## remove what was built
	rm -rf $(BIN)

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

$(TOOLS)/depguard:
	GOBIN=$(TOOLS) $(GO) install github.com/OpenPeeDeeP/depguard/v2/cmd/depguard@$(DEPGUARD_VERSION)
