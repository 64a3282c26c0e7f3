#!/bin/sh
# Makes the generated code anew and fails if that changed anything: then it was not what the schema says.
set -eu
cd "$(dirname "$0")/.."
sums() { find graph -name '*.go' -exec sha256sum {} + | sort -k 2; }
before=$(sums)
go generate ./...
after=$(sums)
if [ "$before" != "$after" ]; then
	echo "the generated code was not up to date: commit what go generate ./... has made" >&2
	exit 1
fi
echo "generated code: up to date"
