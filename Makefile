# "make help" lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse -q --verify HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.DEFAULT_GOAL := help
.PHONY: run build test test-long lint fuzz bench clean help

run: build ## build, and serve on http://127.0.0.1:4873 with data in ./data
	bin/larder serve

build: ## make the static binary bin/larder
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/larder ./cmd/larder

test: ## run all tests under the race detector
	go test -race -timeout 14m ./...

test-long: ## the same with the soaks at full length, then ten minutes of each fuzz target (four hours)
	LARDER_TEST_LONG=1 go test -race -timeout 3h ./...
	FUZZTIME=$${FUZZTIME:-10m} .ci/fuzz

lint: ## gofmt, go vet, staticcheck
	.ci/lint

fuzz: ## run every fuzz target for FUZZTIME (30s)
	.ci/fuzz

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

clean: ## remove what build and test have made, but not ./data
	rm -rf bin test/.clients

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' Makefile
