# make help lists what there is to do. make run and make test are all that a newcomer needs.

SHELL := /bin/sh
GO    ?= go
FUZZ  ?= 20s

.PHONY: help run build test check generate generated lint go-test fuzz conformance leases streams plans schema released clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: postgres ## start a demonstration on http://127.0.0.1:8080, with a database of its own in ./data
	@$(GO) build -o bin/imagerequests .
	@exec bin/imagerequests serve --demo

build: ## build bin/imagerequests
	$(GO) build -trimpath -o bin/imagerequests .

test: postgres check go-test fuzz conformance ## everything that CI checks

check: generated lint ## what needs no database: generated code, formatting, static analysis

generate: ## make the generated code anew from schema.graphqls
	$(GO) generate ./...

generated: ## fail if the generated code is not what the schema says
	scripts/generated.sh

lint: ## formatting, vet, staticcheck
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go' 2>/dev/null || find . -name '*.go' -not -path './node_modules/*')); \
	if [ -n "$$files" ]; then echo "not gofmt'd:"; echo "$$files"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck ./...

go-test: postgres ## all Go tests, with the race detector, shuffled
	$(GO) test -race -shuffle=on ./...

fuzz: ## each fuzz target for $(FUZZ)
	scripts/fuzz.sh $(FUZZ)

conformance: postgres ## outside judges against the running server
	conformance/run.sh

leases: postgres ## the proof of leases at its full length, some minutes; docs/leases.md has the figures
	$(GO) test -count=1 -timeout 20m -v -run 'TestLeases$$' . -leases.full

streams: postgres ## a thousand subscribers for a minute; docs/streams.md has the figures
	$(GO) test -count=1 -timeout 20m -v -run 'TestThousandSubscribers$$' ./graph -streams.full

plans: ## a million random documents, answered by plans and by gqlgen, some ten minutes
	$(GO) test -count=1 -timeout 60m -v -run 'TestPlans$$' ./graph/plan -plans.documents 1000000

schema: postgres ## write db/schema.sql anew from the migrations
	$(GO) test ./db -run TestSchema -update

released: ## at a release: keep schema.graphqls as what later changes must not break
	cp schema.graphqls conformance/released.graphqls

clean: ## remove what was built; never the data
	rm -rf bin conformance/node_modules

.PHONY: postgres
postgres:
	@scripts/postgres.sh
