# "make help" lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse -q --verify HEAD 2>/dev/null || echo unknown)
BENCH   ?= # further flags of bench or bench-micro: "-quick", "-count 10"
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
# bcrypt takes ten times as long where the race detector looks at its tables, which nobody else has.
RACE    := -race -gcflags=golang.org/x/crypto/blowfish=-race=false

.DEFAULT_GOAL := help
.PHONY: run build test test-long lint fuzz bench bench-peers bench-page bench-micro clean help

run: build ## build, and serve on http://127.0.0.1:4873 with data in ./data
	bin/larder serve

build: ## make the static binary bin/larder
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/larder ./cmd/larder

test: ## run all tests under the race detector
	go test $(RACE) -timeout 14m ./...

test-long: ## the same with the soaks at full length, then ten minutes of each fuzz target (four hours)
	LARDER_TEST_LONG=1 go test $(RACE) -timeout 3h ./...
	FUZZTIME=$${FUZZTIME:-10m} .ci/fuzz

lint: ## gofmt, go vet, staticcheck
	.ci/lint

fuzz: ## run every fuzz target for FUZZTIME (30s)
	.ci/fuzz

bench: build ## measure Larder beside the peers that are installed (half an hour), into bench.json
	go run ./test/bench run -json bench.json $(BENCH)

bench-peers: ## install the peers: pnpr and Verdaccio in test/.peers, nginx and wrk by apt-get (as root)
	go run ./test/bench peers

bench-page: ## make docs/BENCHMARKS.md of bench.json
	go run ./test/bench render bench.json >docs/BENCHMARKS.md

bench-micro: ## run the benchmarks of single functions, BENCH being go test's further flags
	go test -run '^$$' -bench . -benchmem $(BENCH) ./...

clean: ## remove what build and test have made, but not ./data
	rm -rf bin test/.clients test/.peers

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' Makefile
